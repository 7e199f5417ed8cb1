"""Makes the modules beside this file (`graphs`) importable from every folder of tests."""
