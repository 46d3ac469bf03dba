"""Many reads or writes of sockets in one system call, where the kernel has io_uring(7) and lets us use it.

The two rings and the entries lie in memory that is shared with the kernel; numpy writes and reads them. Nothing is
left under way: `submit` returns when all is done, which for sockets that do not block is at once.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

import numpy as np
import numpy.typing as npt

_SETUP, _ENTER = 425, 426  # the same on every architecture
_WAIT = 1  # IORING_ENTER_GETEVENTS
_SQES_AT = 0x10000000  # IORING_OFF_SQES
_PARAMS = 30  # 32-bit words of struct io_uring_params
_SQ_AT, _CQ_AT, _FEATURES_AT = 10, 20, 5  # in them
_SINGLE_MMAP = 1  # IORING_FEAT_SINGLE_MMAP, Linux 5.4
RECVMSG, SENDMSG = 10, 9
_MOST_TRIES = 100  # a signal may interrupt one, and memory may be short for a moment

SQE = np.dtype(
    [
        ("opcode", "u1"), ("flags", "u1"), ("ioprio", "u2"), ("fd", "i4"), ("off", "u8"), ("addr", "u8"), ("len", "u4"),
        ("msg_flags", "u4"), ("user_data", "u8"), ("rest", "u8", 3),
    ]
)  # fmt: skip
"""struct io_uring_sqe"""

_CQE = np.dtype([("user_data", "u8"), ("res", "i4"), ("flags", "u4")])

MSGHDR = np.dtype(
    [
        ("name", "u8"), ("namelen", "u4"), ("_1", "u4"), ("iov", "u8"), ("iovlen", "u8"), ("control", "u8"),
        ("controllen", "u8"), ("flags", "u4"), ("_2", "u4"),
    ]
)  # fmt: skip
"""struct msghdr where pointers have 64 bits"""


def words_of(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """uint64[n, words], the same memory: numpy copies rows of these five times as fast as structures."""
    return rows.view(np.uint64).reshape(len(rows), -1)


class Uring:
    """A ring. Raises OSError where there is none to be had: an old kernel, or a container that forbids it."""

    def __init__(self, entries: int = 1024) -> None:
        if ctypes.sizeof(ctypes.c_void_p) != 8:
            raise OSError(errno.ENOSYS, "io_uring is used with 64-bit pointers only")
        # PyDLL: the interpreter's lock is kept, so that no other thread takes it from a tick in the middle of its work
        self._syscall = ctypes.PyDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long
        params = (ctypes.c_uint32 * _PARAMS)()
        self._fd = self._syscall(_SETUP, ctypes.c_uint(entries), params)
        if self._fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"io_uring: {os.strerror(code)}")
        if not params[_FEATURES_AT] & _SINGLE_MMAP:
            os.close(self._fd)
            raise OSError(errno.ENOSYS, "io_uring: this kernel is older than Linux 5.4")
        self.entries, completions = params[0], params[1]
        sq, cq = params[_SQ_AT : _SQ_AT + 7], params[_CQ_AT : _CQ_AT + 6]
        size = max(sq[6] + 4 * self.entries, cq[5] + _CQE.itemsize * completions)
        shared = mmap.MAP_SHARED | mmap.MAP_POPULATE
        rings = mmap.mmap(self._fd, size, flags=shared)
        words = np.frombuffer(rings, np.uint32, size // 4)
        self._head, self._tail = (words[at // 4 : at // 4 + 1] for at in cq[:2])
        self._sq_tail = words[sq[1] // 4 : sq[1] // 4 + 1]
        words[sq[6] // 4 : sq[6] // 4 + self.entries] = np.arange(self.entries)  # entry n stands in place n, always
        sqes = mmap.mmap(self._fd, self.entries * SQE.itemsize, flags=shared, offset=_SQES_AT)
        self._sqes = words_of(np.frombuffer(sqes, SQE))
        self._cqes = np.frombuffer(rings, _CQE, completions, cq[5])

    def close(self) -> None:
        """Give it back to the kernel; its memory goes with the last reference."""
        os.close(self._fd)

    def submit(self, entries: npt.NDArray[np.void]) -> npt.NDArray[np.int32]:
        """Do them all; what each returned: a number of bytes, or a negative errno. Their user_data is overwritten."""
        results = np.full(len(entries), -errno.ECANCELED, np.int32)
        entries["user_data"] = np.arange(len(entries))
        for start in range(0, len(entries), self.entries):
            self._submit_some(entries[start : start + self.entries], results)
        return results

    def _submit_some(self, entries: npt.NDArray[np.void], results: npt.NDArray[np.int32]) -> None:
        count, tail = len(entries), int(self._sq_tail[0])
        self._sqes[(tail + np.arange(count)) % self.entries] = words_of(entries)
        self._sq_tail[0] = (tail + count) & 0xFFFFFFFF
        for _ in range(_MOST_TRIES):
            # what has been taken already is not taken twice: the kernel counts from its own head of the ring
            self._syscall(_ENTER, self._fd, count, count, _WAIT, None, ctypes.c_size_t(0))
            code = ctypes.get_errno()
            count -= self._reap(results)
            if not count:
                return
        raise OSError(code, f"io_uring: {count} entries are not done: {os.strerror(code)}")

    def _reap(self, results: npt.NDArray[np.int32]) -> int:
        head, tail = int(self._head[0]), int(self._tail[0])
        count = (tail - head) & 0xFFFFFFFF
        done = self._cqes[(head + np.arange(count)) % len(self._cqes)]
        results[done["user_data"].astype(np.intp)] = done["res"]
        self._head[0] = tail
        return count
