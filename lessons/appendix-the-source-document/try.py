"""Runs a program of this directory and prints the kind of exception that ends it.

python3 try.py NAME runs NAME.py. The kind is the same in every Python; its message is not.
"""

import pathlib
import runpy
import sys

try:
    runpy.run_path(str(pathlib.Path(__file__).with_name(sys.argv[1] + ".py")))
except Exception as error:
    print(type(error).__name__)
else:
    print("no exception")
