"""Runs programs of this directory and prints the kind of exception that ends each.

python3 try.py NAME... runs NAME.py. The kind is the same in every Python; its message is not.
"""

import pathlib
import runpy
import sys

for name in sys.argv[1:]:
    try:
        runpy.run_path(str(pathlib.Path(__file__).with_name(name + ".py")))
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
    else:
        print(f"{name}: no exception")
