"""Echo with Python's own socketserver: python3 socketserver_echo.py tcp, or udp."""
import os
import shutil
import socketserver
import sys

address = ("127.0.0.1", int(os.environ.get("PORT", "12345")))


class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        while piece := self.request.recv(16384):
            self.wfile.write(piece)


class Datagram(socketserver.DatagramRequestHandler):
    def handle(self):
        shutil.copyfileobj(self.rfile, self.wfile)


socketserver.TCPServer.allow_reuse_address = True
if sys.argv[1:] == ["udp"]:
    server = socketserver.UDPServer(address, Datagram)
else:
    server = socketserver.ThreadingTCPServer(address, Stream)
server.serve_forever()
