"""The other end of the line, on the livekit package: joins, hears who speaks, says nothing and hangs up.

    offhook-run examples/python/caller.py URL TOKEN [SECONDS]
"""

import asyncio
import math
import sys
import time

from livekit import rtc


async def hear(track: rtc.Track, started: float) -> None:
    """Prints the level of what comes, twice a second."""
    stream = rtc.AudioStream(track, sample_rate=16_000, num_channels=1)
    squares, count = 0.0, 0
    async for event in stream:
        squares += sum(sample * sample for sample in event.frame.data)
        count += event.frame.samples_per_channel
        if count >= 8_000:
            level = 10 * math.log10(max(squares / count, 1) / 32_768**2)
            print(f"{time.monotonic() - started:5.1f} s  {level:6.1f} dBFS")
            squares, count = 0.0, 0
    await stream.aclose()


async def main(url: str, token: str, seconds: float = 10) -> None:
    started = time.monotonic()
    room = rtc.Room()
    listening: set[asyncio.Task] = set()

    @room.on("track_subscribed")
    def on_track(track: rtc.Track, _publication, participant: rtc.RemoteParticipant) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            print(f"{participant.identity} is on the line")
            listening.add(asyncio.ensure_future(hear(track, started)))

    await room.connect(url, token)
    print(f"in room {room.name} after {(time.monotonic() - started) * 1000:.0f} ms")
    await asyncio.sleep(seconds)
    await room.disconnect()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:4])))
