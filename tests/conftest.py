"""Makes the modules beside this file (`graphs`, `problems`) importable from every folder of tests."""

# Folders below have such a file too, and only one module of that name can be searched for doctests.
collect_ignore = ["conftest.py"]
