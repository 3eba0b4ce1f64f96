"""Runs a program behind a network device in namespaces of its own.

namespace.py RESOLV_CONF PROGRAM ARGUMENTS...: makes the device, sends its file descriptor over the UNIX socket on
standard input, waits for a byte from there, and becomes the program, whose standard input is empty.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

NAME, MTU, ADDRESS, NETMASK, GATEWAY = b"masque0", 65520, "198.18.0.2", "255.254.0.0", "198.18.0.1"
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
TUNSETIFF, IFF_TUN_NO_PI = 0x400454CA, 0x1001
SIOCADDRT, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU = 0x890B, 0x8914, 0x8916, 0x891C, 0x8922
IFF_UP_RUNNING, RTF_UP_GATEWAY = 0x41, 0x3

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def address(text):
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))


def configure():
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for request, name, value in [
        (SIOCSIFADDR, NAME, address(ADDRESS)),
        (SIOCSIFNETMASK, NAME, address(NETMASK)),
        (SIOCSIFMTU, NAME, struct.pack("=i12x", MTU)),
        (SIOCSIFFLAGS, NAME, struct.pack("=H14x", IFF_UP_RUNNING)),
        (SIOCSIFFLAGS, b"lo", struct.pack("=H14x", IFF_UP_RUNNING)),
    ]:
        fcntl.ioctl(control, request, struct.pack("=16s16s", name, value))
    everywhere = address("0.0.0.0")
    route = struct.pack("@Q16s16s16sHhQQhQQQH", 0, everywhere, address(GATEWAY), everywhere, RTF_UP_GATEWAY, 0, 0, 0, 0, 0, 0, 0, 0)
    fcntl.ioctl(control, SIOCADDRT, route)


def main():
    resolv_conf, program = sys.argv[1], sys.argv[2:]
    user, group = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
    for name, text in [("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")]:
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", resolv_conf.encode(), os.path.realpath("/etc/resolv.conf").encode(), None, MS_BIND, None)
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("=16sH22x", NAME, IFF_TUN_NO_PI))
    configure()
    parent = socket.socket(fileno=os.dup(0))
    socket.send_fds(parent, [b"d"], [device])
    os.close(device)
    if parent.recv(1) != b"g":
        raise SystemExit("nobody serves the device")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execvp(program[0], program)


main()
