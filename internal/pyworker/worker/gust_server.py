"""The warm interpreter: forks a process for each call, so that nothing a call does is seen by the next.

It talks to Gust over a Unix socket, one JSON object per line. From Gust: {"run": N} together with three descriptors
(the call's channel, its stdout, its stderr) and {"kill": N, "signal": S}. To Gust: a greeting, {"started": N, "pid": P}
and {"ended": N, "status": code or null, "signal": number or null}. When the socket closes, everything ends.
"""

import array
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import sys

import gust_airflow
import gust_call

PROTOCOL = 1
_CMSG = socket.CMSG_SPACE(16 * 4)
_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def _parent_death_signal():
    """Returns a function that has the kernel kill this process when its parent dies; None where there is no such thing."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except Exception:  # an interpreter without ctypes; Gust's marks find what is left
        return None
    return lambda: prctl(1, signal.SIGKILL, 0, 0, 0)


class Server:
    def __init__(self, control):
        self.control = control
        self.text = b""
        self.fds = []
        self.calls = {}  # pid -> number
        self.pids = {}  # number -> pid
        self.bind = _parent_death_signal()
        self.null = os.open(os.devnull, os.O_RDONLY)
        self.pid = os.getpid()
        self.wake, self.waker = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self.waker, False)

    def send(self, message):
        self.control.sendall(json.dumps(message).encode() + b"\n")

    def serve(self):
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.send({"gust": PROTOCOL, "python": "%d.%d.%d" % sys.version_info[:3], "executable": sys.executable})
        gc.collect()
        gc.freeze()
        gc.disable()  # on again in each call; here it would copy the pages that calls share
        try:
            while True:
                ready, _, _ = select.select([self.control, self.wake], [], [])
                if self.wake in ready:
                    try:
                        os.read(self.wake, 512)
                    except BlockingIOError:
                        pass
                    self.reap()
                if self.control in ready and not self.receive():
                    return
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            if os.getpid() == self.pid:
                for pid in self.calls:
                    _kill_group(pid, signal.SIGKILL)

    def receive(self):
        data, ancillary, _, _ = self.control.recvmsg(1 << 16, _CMSG, _FLAGS)
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                for fd in fds:
                    os.set_inheritable(fd, False)
                self.fds.extend(fds)
        if not data:
            return False
        self.text += data
        *lines, self.text = self.text.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "run" in message:
                self.run(message["run"])
            elif message.get("kill") in self.pids:
                _kill_group(self.pids[message["kill"]], message["signal"])
        return True

    def run(self, number):
        fds, self.fds = self.fds[:3], self.fds[3:]
        try:
            pid = os.fork()
        except OSError as e:
            for fd in fds:
                os.close(fd)
            self.send({"ended": number, "status": None, "signal": None, "error": "cannot fork: %s" % e})
            return
        if pid == 0:
            self.child(fds)
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # the child was faster, or has ended
        for fd in fds:
            os.close(fd)
        self.calls[pid] = number
        self.pids[number] = pid
        self.send({"started": number, "pid": pid})

    def child(self, fds):
        """Becomes the process of one call; never returns."""
        status = 70
        try:
            os.setpgid(0, 0)
            if self.bind is not None:
                self.bind()
                if os.getppid() != self.pid:
                    os._exit(status)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(self.null, 0)
            os.dup2(fds[1], 1)
            os.dup2(fds[2], 2)
            for fd in (fds[1], fds[2], self.null, self.wake, self.waker):
                os.close(fd)
            self.control.close()
            gc.enable()
            status = gust_call.run(fds[0])
        finally:
            os._exit(status)

    def reap(self):
        while self.calls:
            pid = _ended()
            if pid == 0:
                return
            # The zombie still holds its group's number, which thus is nobody else's.
            _kill_group(pid, signal.SIGKILL)
            try:
                _, status = os.waitpid(pid, 0)
            except ChildProcessError:
                status = _statuses.pop(pid, 0)
            number = self.calls.pop(pid, None)
            if number is None:
                continue
            del self.pids[number]
            killed = os.WIFSIGNALED(status)
            self.send({
                "ended": number,
                "status": None if killed else os.WEXITSTATUS(status),
                "signal": os.WTERMSIG(status) if killed else None,
            })


_statuses = {}


def _ended():
    """Returns a child that has ended, 0 when there is none. It is not reaped where the system can tell without."""
    try:
        if hasattr(os, "waitid"):
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return info.si_pid if info is not None else 0
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            _statuses[pid] = status
        return pid
    except ChildProcessError:
        return 0


def _kill_group(pid, number):
    try:
        os.killpg(pid, number)
    except OSError:
        pass  # nothing is left of it


def main(fd):
    sys.path[:] = [entry for entry in sys.path if entry]  # "" is the folder that Gust happens to run in
    gust_airflow.install()
    gust_call.ready()
    faulthandler.enable(2)  # a call has its own descriptor 2
    Server(socket.socket(fileno=fd)).serve()
