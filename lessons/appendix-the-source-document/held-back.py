# Point 15: into a pipe, Python writes stdout late.
import sys

print("1: to stdout")
print("2: to stderr", file=sys.stderr)
