# SPDX-License-Identifier: GPL-2.0-only
#
# An echo server and its client for kinds of TCP connections that no other tool of ours makes.
#
#	kinds.py serve KIND[,KIND...] ADDR PORT
#	kinds.py ask KIND ADDR PORT
#	kinds.py has-ao			does the kernel have it?
#
# Kinds: plain, fastopen (data in the SYN, if the system lets it), mptcp, ao (RFC 5925; Linux 6.7), tls (the ULP, without
# keys), tls-later (when the line "tls" has come).
# The client prints "ok" when a line has come back, asks again for each line on its standard input, and ends with it.

import socket
import struct
import sys

IPPROTO_MPTCP = 262
TCP_ULP = 31
TCP_AO_ADD_KEY = 38
MSG_FASTOPEN = 0x20000000


def make(kinds):
    proto = IPPROTO_MPTCP if "mptcp" in kinds else socket.IPPROTO_TCP
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, proto)


def add_ao_key(sock):
    """struct tcp_ao_add: one key for all of IPv4"""
    any_addr = struct.pack("=H2x4s120x", socket.AF_INET, bytes(4))
    key = b"a shared secret"
    sock.setsockopt(socket.IPPROTO_TCP, TCP_AO_ADD_KEY, any_addr + struct.pack(
        "=64siIHBBBBBB80s", b"hmac(sha1)", 0, 0, 0, 0, 100, 100, 0, 0, len(key), key))


def echo(sock, kinds):
    while data := sock.recv(4096):
        if "tls-later" in kinds and data == b"tls\n":
            sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        sock.sendall(data)
    sock.close()


def serve(kinds, addr, port):
    listener = make(kinds)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "ao" in kinds:
        add_ao_key(listener)
    listener.bind((addr, port))
    listener.listen()
    while True:
        sock, _ = listener.accept()
        if "tls" in kinds:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        try:
            echo(sock, kinds)
        except OSError:
            pass


def expect(sock, line):
    data = b""
    while len(data) < len(line):
        more = sock.recv(4096)
        if not more:
            sys.exit("closed")
        data += more
    if data != line:
        sys.exit("wrong")
    print("ok", flush=True)


def ask(kinds, addr, port):
    sock = make(kinds)
    # Where ACKs wait at a gate, lines do not wait for them.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if "ao" in kinds:
        add_ao_key(sock)
    if "fastopen" in kinds:
        # Blocking: without a cookie the data wait for the handshake.
        sock.sendto(b"hello\n", MSG_FASTOPEN, (addr, port))
        sock.settimeout(30)
    else:
        sock.settimeout(30)
        sock.connect((addr, port))
        sock.sendall(b"hello\n")
    expect(sock, b"hello\n")
    for line in sys.stdin:
        sock.sendall(line.encode())
        expect(sock, line.encode())


if __name__ == "__main__":
    if sys.argv[1] == "has-ao":
        add_ao_key(make([]))
    else:
        {"serve": serve, "ask": ask}[sys.argv[1]](sys.argv[2].split(","), sys.argv[3], int(sys.argv[4]))
