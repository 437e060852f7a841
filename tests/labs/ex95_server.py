"""Lab E, ex95: ex91, driven by events, with Twisted."""
import sys

from twisted.internet import protocol, reactor


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


factory = protocol.Factory.forProtocol(Echo)
port = reactor.listenTCP(int(sys.argv[1]), factory)
print("port", port.getHost().port, flush=True)
reactor.run()
