"""The program that is measured, in Python: unmodified `livekit` on whichever engine its environment selects.

It takes the commands of client.mjs that the measures of `npm run bench -- --python` use.
"""

import asyncio
import json
import math
import struct
import sys
import time

from livekit import rtc

# What a voice agent sends and hears: speech at 24 kHz, mono.
SAMPLE_RATE = 24_000
FRAME_MS = 20
TONE_HZ = 440
AMPLITUDE = 10_000
LENGTH = SAMPLE_RATE * FRAME_MS // 1_000
FRAMES = [
    struct.pack(
        f"<{LENGTH}h",
        *(
            round(AMPLITUDE * math.sin(2 * math.pi * TONE_HZ * (index * LENGTH + i) / SAMPLE_RATE))
            for i in range(LENGTH)
        ),
    )
    for index in range(1_000 // FRAME_MS)
]

rooms: list[rtc.Room] = []
tasks: set[asyncio.Task] = set()
heard = {"frames": 0}


def start(work) -> None:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def speak(source: rtc.AudioSource) -> None:
    at = 0
    while True:
        await source.capture_frame(rtc.AudioFrame(FRAMES[at % len(FRAMES)], SAMPLE_RATE, 1, LENGTH))
        at += 1


async def listen(track: rtc.Track) -> None:
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
    async for _event in stream:
        heard["frames"] += 1
    await stream.aclose()


async def open_room(url: str, token: str) -> None:
    room = rtc.Room()
    rooms.append(room)

    @room.on("track_subscribed")
    def on_track(track, _publication, _participant):
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            start(listen(track))

    await room.connect(url, token)
    source = rtc.AudioSource(SAMPLE_RATE, 1)
    await room.local_participant.publish_track(
        rtc.LocalAudioTrack.create_audio_track("voice", source),
        rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
    )
    start(speak(source))


class Commands:
    async def connectOnce(self, url: str, token: str) -> float:
        """Milliseconds from the call of connect to its return; the room is left again."""
        room = rtc.Room()
        started = time.perf_counter()
        await room.connect(url, token)
        elapsed_ms = (time.perf_counter() - started) * 1_000
        await room.disconnect()
        return elapsed_ms

    async def joinAndSpeak(self, url: str, token: str) -> float:
        """Joins and speaks at once. The answer is when it was asked to, in milliseconds since 1970."""
        started_at_ms = time.time() * 1_000
        await open_room(url, token)
        return started_at_ms

    async def openRooms(self, joins: list[dict]) -> None:
        for join in joins:
            await open_room(**join)

    async def framesHeard(self) -> int:
        return heard["frames"]

    async def leave(self) -> None:
        left, rooms[:] = list(rooms), []
        for task in list(tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(*(room.disconnect() for room in left))

    async def join(self, url: str, token: str) -> None:
        room = rtc.Room()
        rooms.append(room)
        await room.connect(url, token)

        @room.local_participant.register_rpc_method("echo")
        async def echo(invocation: rtc.RpcInvocationData) -> str:
            return invocation.payload

    async def roundTrips(self, to: str, count: int, payload: str) -> list[float]:
        elapsed_ms = []
        for _ in range(count):
            started = time.perf_counter()
            await rooms[0].local_participant.perform_rpc(
                destination_identity=to, method="echo", payload=payload
            )
            elapsed_ms.append((time.perf_counter() - started) * 1_000)
        return elapsed_ms


def show(line: dict) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def answer(line: bytes) -> None:
    arguments = json.loads(line)
    request_id, command = arguments.pop("id"), arguments.pop("command")
    try:
        show({"reply": request_id, "value": await getattr(Commands(), command)(**arguments)})
    except Exception as error:  # noqa: BLE001
        show({"reply": request_id, "error": f"{type(error).__name__}: {error}"})


async def main() -> None:
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    show({"event": "started", "atMs": time.time() * 1_000})
    running: set[asyncio.Task] = set()
    while line := await reader.readline():
        task = asyncio.ensure_future(answer(line))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
