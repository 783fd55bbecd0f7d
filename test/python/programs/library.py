"""Uses liboffhook_ffi as no SDK does, by ctypes. The first argument names what to do; each step prints a line of JSON."""

import ctypes
import json
import mmap
import os
import signal
import sys
import threading
import time

from livekit.rtc._proto import ffi_pb2

library = ctypes.CDLL(os.environ["LIVEKIT_LIB_PATH"])
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t)
library.livekit_ffi_initialize.argtypes = [CALLBACK, ctypes.c_bool, ctypes.c_char_p, ctypes.c_char_p]
library.livekit_ffi_request.argtypes = [
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_size_t),
]
library.livekit_ffi_request.restype = ctypes.c_uint64
library.livekit_ffi_drop_handle.argtypes = [ctypes.c_uint64]
library.livekit_ffi_drop_handle.restype = ctypes.c_bool

events: list[ffi_pb2.FfiEvent] = []
in_callback = None


@CALLBACK
def on_event(data, length):
    events.append(ffi_pb2.FfiEvent.FromString(ctypes.string_at(data, length)))
    if in_callback:
        in_callback(events[-1])


def show(**values) -> None:
    print(json.dumps(values), flush=True)


def initialize(callback=on_event) -> None:
    library.livekit_ffi_initialize(callback, False, b"test", b"1")


def send(data: bytes) -> tuple[int, bytes]:
    response, length = ctypes.c_void_p(), ctypes.c_size_t()
    handle = library.livekit_ffi_request(data, len(data), ctypes.byref(response), ctypes.byref(length))
    return handle, ctypes.string_at(response, length.value) if handle else b""


def request(**content) -> ffi_pb2.FfiResponse | None:
    """The response, whose handle is dropped as SDKs do; None when the request failed."""
    handle, data = send(ffi_pb2.FfiRequest(**content).SerializeToString())
    if not handle:
        return None
    response = ffi_pb2.FfiResponse.FromString(data)
    assert library.livekit_ffi_drop_handle(handle)
    return response


def works() -> bool:
    response = request(new_audio_resampler={})
    return response is not None and library.livekit_ffi_drop_handle(response.new_audio_resampler.resampler.handle.id)


def new_sox() -> int:
    response = request(
        new_sox_resampler={
            "input_rate": 48_000,
            "output_rate": 16_000,
            "num_channels": 1,
            "input_data_type": 0,
            "output_data_type": 0,
            "quality_recipe": 0,
            "flags": 0,
        }
    )
    assert response is not None and not response.new_sox_resampler.error, response
    return response.new_sox_resampler.resampler.handle.id


def push(resampler: int, address: int, size: int) -> bool:
    return request(push_sox_resampler={"resampler_handle": resampler, "data_ptr": address, "size": size}) is not None


def order() -> None:
    """Calls in an order that no SDK makes."""
    show(step="request before initialize", works=works())
    show(step="drop before initialize", dropped=library.livekit_ffi_drop_handle(5))
    library.livekit_ffi_dispose()
    initialize()
    show(step="initialized", works=works())
    other = CALLBACK(lambda data, length: None)
    initialize(other)
    show(step="initialized again", works=works())
    initialize()
    library.livekit_ffi_dispose()
    show(step="disposed", works=works())
    library.livekit_ffi_dispose()
    initialize()
    show(step="initialized after dispose", works=works())


def handles() -> None:
    initialize()
    handle, _ = send(ffi_pb2.FfiRequest(new_audio_resampler={}).SerializeToString())
    show(step="response", dropped=[library.livekit_ffi_drop_handle(handle) for _ in range(2)])
    resampler = new_sox()
    show(step="object", dropped=[library.livekit_ffi_drop_handle(resampler) for _ in range(2)])
    unknown = (0, 2**53 - 1, 2**63, 2**64 - 1)
    show(step="unknown", dropped=[library.livekit_ffi_drop_handle(handle) for handle in unknown])
    show(step="then", works=works())


def addresses() -> None:
    initialize()
    resampler = new_sox()
    for address in (8, 0xDEAD0000, 2**47 - 4096, 2**63):
        show(step=hex(address), pushed=push(resampler, address, 960))
    show(step="size", pushed=push(resampler, 8, 2**32 - 1))
    apm = request(
        new_apm={
            "echo_canceller_enabled": False,
            "gain_controller_enabled": False,
            "high_pass_filter_enabled": True,
            "noise_suppression_enabled": False,
        }
    ).new_apm.apm.handle.id
    read_only = mmap.mmap(-1, 4096, prot=mmap.PROT_READ)
    address = _address_of(read_only)
    process = {"apm_handle": apm, "data_ptr": address, "size": 960, "sample_rate": 48_000, "num_channels": 1}
    show(step="read-only", processed=request(apm_process_stream=process) is not None)
    good = ctypes.create_string_buffer(960)
    show(step="good", pushed=push(resampler, ctypes.addressof(good), 960), works=works())


def _address_of(mapping: mmap.mmap) -> int:
    """Where a mapping lies that nobody may write to, by the kernel's list."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, mode = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if mode == "r--s" and end - start == len(mapping) and "/dev/zero" in line:
                return start
    raise RuntimeError("the mapping is not there")


def garbage() -> None:
    initialize()
    for data in (b"", b"\xff" * 40, b"\x0a", b"\xda\x01\x02\x0a\xff", os.urandom(500)):
        show(step=data[:8].hex(), handle=send(data)[0])
    show(step="then", works=works())


def fork() -> None:
    initialize()
    works()
    child = os.fork()
    if child == 0:
        show(step="in the child", works=works())
        initialize()
        show(step="in the child, initialized", works=works())
        library.livekit_ffi_dispose()
        os._exit(0)
    os.waitpid(child, 0)
    show(step="in the parent", works=works())


def threads() -> None:
    """Requests from many threads, and from within the callback."""
    global in_callback
    failures: list[str] = []

    def inside(_event) -> None:
        if not works():
            failures.append("in the callback")

    in_callback = inside

    def ask(number: int) -> None:
        for count in range(100):
            if not works():
                failures.append(f"thread {number}, request {count}")
            request(new_capture_source={})

    initialize()
    running = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    while len(events) < 800:
        threading.Event().wait(0.01)
    show(step="done", events=len(events), failures=failures)


def replaced() -> None:
    """The engine is killed: what it gave out is dropped late, and the next request that begins something has a new one."""
    initialize()
    first = new_sox()
    samples = ctypes.create_string_buffer(960)
    assert push(first, ctypes.addressof(samples), 960)
    response, _ = send(ffi_pb2.FfiRequest(new_audio_resampler={}).SerializeToString())
    engine = _child()
    os.kill(engine, signal.SIGKILL)
    while _child() == engine:
        time.sleep(0.01)
    show(step="lost", pushed=push(first, ctypes.addressof(samples), 960))
    second = new_sox()
    to_former = {"resampler_handle": first, "data_ptr": ctypes.addressof(samples), "size": 960}
    show(
        step="replaced",
        above=second > first,
        pushed=push(second, ctypes.addressof(samples), 960),
        refused="unknown" in request(push_sox_resampler=to_former).push_sox_resampler.error,
    )
    show(
        step="dropped",
        response=library.livekit_ffi_drop_handle(response),
        former=library.livekit_ffi_drop_handle(first),
        pushed=push(second, ctypes.addressof(samples), 960),
        own=[library.livekit_ffi_drop_handle(second) for _ in range(2)],
    )
    library.livekit_ffi_dispose()
    show(step="disposed", children=_child())


def _child() -> int | None:
    """The process that this one started: its engine."""
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            for child in file.read().split():
                return int(child)
    return None


def start() -> None:
    """Whether there is an engine at all."""
    initialize()
    show(step="started", works=works())
    show(step="again", works=works())
    library.livekit_ffi_dispose()
    show(step="disposed")


def wait() -> None:
    """Says when it is initialized, then asks whenever it is told to."""
    initialize()
    show(step="ready", works=works())
    for _ in sys.stdin:
        show(step="asked", works=works())


{
    f.__name__: f for f in (order, handles, addresses, garbage, fork, threads, replaced, start, wait)
}[sys.argv[1]]()
