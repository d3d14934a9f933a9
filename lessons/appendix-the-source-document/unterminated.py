# Point 1: the string has a beginning and no end.
print("Listening on port 12345)
