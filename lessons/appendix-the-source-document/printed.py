# Points 3 to 6: a server that runs, and prints and replies with other words than the transcripts.
import socket

listener = socket.create_server(("localhost", 12345))
print("Server is listening on port: 12345")

connection, address = listener.accept()
print("Connected by ", address)

text = connection.recv(1024).decode()
print("Recieved: ", text)

connection.sendall(f"Echo: {text}.".encode())
connection.close()
