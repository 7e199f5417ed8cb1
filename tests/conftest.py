"""Makes the modules beside this file (`graphs`, `problems`) importable from every folder of tests; seeds hypothesis."""

from hypothesis import settings

# Folders below have such a file too, and only one module of that name can be searched for doctests.
collect_ignore = ["conftest.py"]

# The same examples on every computer, however slow it is: timings belong in bench/.
settings.register_profile("hocket", deadline=None, derandomize=True)
settings.load_profile("hocket")
