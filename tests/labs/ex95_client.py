"""Lab E, ex95: the client of ex91, driven by events, with Twisted."""
import sys

from twisted.internet import protocol, reactor


class Hello(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(b"Hello, echo")

    def dataReceived(self, data):
        print("received", data)
        self.transport.loseConnection()

    def connectionLost(self, reason):
        reactor.stop()


reactor.connectTCP(sys.argv[1], int(sys.argv[2]), protocol.ClientFactory.forProtocol(Hello))
reactor.run()
