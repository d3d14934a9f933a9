# Point 2: bind takes one address, which is a pair. Here it gets the halves.
import socket

listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind("localhost", 12345)
