"""A participant that tests steer: an unmodified program on the `livekit` package.

It takes the commands of participant.mjs and prints the same lines, so that a test does not see which language it meets.
"""

import asyncio
import base64
import fcntl
import json
import math
import os
import struct
import sys
import termios
import threading
import time

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient

AUDIBLE_RMS = 300
FRAME_MS = 10

room: rtc.Room
tones: dict[str, dict] = {}
ears: dict[str, dict] = {}
tasks: set[asyncio.Task] = set()
data_tracks: dict[str, rtc.LocalDataTrack] = {}
views: dict[str, dict] = {}
# Ends a film, by the name of its track.
films: dict = {}


def show(line: dict) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def tell(event: str, **more: object) -> None:
    show({"event": event, "atMs": time.time() * 1000, **more})


def start(work) -> asyncio.Task:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


def rms(data: memoryview) -> float:
    samples = struct.unpack(f"<{len(data)}h", data.tobytes())
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


async def listen(track: rtc.Track, identity: str, hearing: dict) -> None:
    ear: dict = {"sampleRate": hearing["sampleRate"], "frames": [], "firstAudibleAtMs": None}
    ears[identity] = ear
    noise_cancellation = hearing.get("noiseCancellation")
    stream = rtc.AudioStream(
        track,
        sample_rate=hearing["sampleRate"],
        num_channels=1,
        noise_cancellation=rtc.NoiseCancellationOptions(
            module_id=noise_cancellation["moduleId"], options=noise_cancellation.get("options", {})
        )
        if noise_cancellation
        else None,
    )
    async for event in stream:
        frame = event.frame
        ear["frames"].append(bytes(frame.data))
        if ear["firstAudibleAtMs"] is None and rms(frame.data) > AUDIBLE_RMS:
            ear["firstAudibleAtMs"] = time.time() * 1000
            tell("firstAudible", identity=identity)
    await stream.aclose()
    tell("streamEnded", identity=identity)


async def speak(tone: dict) -> None:
    """Speaks a tone until it is stopped; its frames go out as fast as the source takes them."""
    rate, channels, hz = tone["sampleRate"], tone["numChannels"], tone["hz"]
    amplitude = math.sqrt(2) * 32_768 * 10 ** (tone["dbfs"] / 20)
    length = rate * FRAME_MS // 1000
    at = 0
    while not tone["stopped"]:
        samples = [round(amplitude * math.sin(2 * math.pi * hz * (at + i) / rate)) for i in range(length)]
        data = struct.pack(f"<{length * channels}h", *(sample for sample in samples for _ in range(channels)))
        await tone["source"].capture_frame(rtc.AudioFrame(data, rate, channels, length))
        at += length


async def look(track: rtc.Track, identity: str) -> None:
    """Counts the pictures of a track, and tells of the first."""
    views[identity] = {"frames": 0, "name": track.name}
    async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
        frame = event.frame
        luma = bytes(frame.data[: frame.width * frame.height])
        view = views[identity]
        view["frames"] += 1
        view.update(width=frame.width, height=frame.height, luma=sum(luma) / len(luma))
        if event.metadata and event.metadata.frame_id and "frameId" not in view:
            view.update(frameId=event.metadata.frame_id, userTimestamp=event.metadata.user_timestamp)
            view.update(userData=event.metadata.user_data.decode())
            tell("frameMetadata", identity=identity, **view)
        if view["frames"] == 1:
            tell("firstPicture", identity=identity, **view)


async def read_frames(track: rtc.RemoteDataTrack) -> None:
    """Tells of every frame of a data track, until the track ends."""
    async for frame in track.subscribe():
        tell(
            "dataTrackFrame",
            name=track.info.name,
            bytes=len(frame.payload),
            count=frame.user_timestamp,
            isWhole=frame.payload == bytes([frame.user_timestamp & 0xFF]) * len(frame.payload),
        )
    tell("dataTrackEnded", name=track.info.name, isPublished=track.is_published())


def describe(participant) -> dict:
    return {
        "identity": participant.identity,
        "sid": participant.sid,
        "name": participant.name,
        "metadata": participant.metadata,
        "attributes": dict(participant.attributes),
        "tracks": [
            {"sid": publication.sid, "name": publication.name, "muted": publication.muted}
            for publication in participant.track_publications.values()
        ],
    }


def waiting_bytes() -> int:
    """What waits to be read in the socket that has most: with offhook, events."""
    most = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            answer = fcntl.ioctl(int(fd), termios.FIONREAD, b"\0" * 4)
            most = max(most, struct.unpack("i", answer)[0])
        except OSError:
            continue  # It is no socket, or the one that listed them.
    return most


class Commands:
    async def newRoom(self):
        """Begins again with a room that was never connected, as a program does whose room is over."""
        global room
        for tone in tones.values():
            tone["stopped"] = True
        tones.clear()
        ears.clear()
        room = rtc.Room()
        report_room_events()

    async def loadFilter(self, moduleId: str, path: str):
        rtc.AudioFilter(moduleId, path)

    async def importNoiseCancellation(self):
        """Imports LiveKit's plugin, which registers its filter, and tells the filter's id and the options of a stream."""
        from livekit.plugins import noise_cancellation

        options = noise_cancellation.NC()
        return {"moduleId": options.module_id, "options": options.options}

    async def connect(
        self,
        url: str,
        token: str,
        hearing: dict | None = None,
        options: dict | None = None,
        sharedKey: str | None = None,
    ):
        hearing = {"sampleRate": 48_000} if hearing is None else hearing

        @room.on("track_subscribed")
        def on_track(track, _publication, participant):
            if track.kind == rtc.TrackKind.KIND_AUDIO and hearing:
                start(listen(track, participant.identity, hearing))
            if track.kind == rtc.TrackKind.KIND_VIDEO:
                start(look(track, participant.identity))

        started = time.perf_counter()
        encryption = None
        if sharedKey:
            encryption = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=sharedKey.encode()))
        await room.connect(url, token, rtc.RoomOptions(auto_subscribe=True, dynacast=False, encryption=encryption))
        elapsed_ms = (time.perf_counter() - started) * 1000

        @room.local_participant.register_rpc_method("echo")
        async def echo(invocation: rtc.RpcInvocationData) -> str:
            return invocation.payload

        return {"elapsedMs": elapsed_ms, "room": room.name, "local": describe(room.local_participant)}

    async def publishTone(
        self,
        hz: float,
        name: str = "tone",
        dbfs: float = -20,
        sampleRate: int = 48_000,
        numChannels: int = 1,
        queueMs: int = 1_000,
    ):
        source = rtc.AudioSource(sampleRate, numChannels, queue_size_ms=queueMs)
        track = rtc.LocalAudioTrack.create_audio_track(name, source)
        tone = {
            "source": source,
            "track": track,
            "hz": hz,
            "dbfs": dbfs,
            "sampleRate": sampleRate,
            "numChannels": numChannels,
            "stopped": False,
        }
        tones[name] = tone
        publication = await room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )
        tone["sid"] = publication.sid
        tone["spoken"] = start(speak(tone))
        return {"sid": publication.sid}

    async def stopTone(self, name: str = "tone"):
        tone = tones[name]
        tone["stopped"] = True
        await tone["spoken"]
        await room.local_participant.unpublish_track(tone["sid"])

    async def takeHeard(self, identity: str, path: str):
        """Writes what was heard of `identity` to `path` as raw 16-bit mono, and begins anew."""
        ear = ears[identity]
        frames, ear["frames"] = ear["frames"], []
        with open(path, "wb") as file:
            file.write(b"".join(frames))
        return {
            "sampleRate": ear["sampleRate"],
            "firstAudibleAtMs": ear["firstAudibleAtMs"],
            "frames": len(frames),
        }

    async def publishData(
        self, text: str, topic: str = "", reliable: bool = True, to: list[str] | None = None
    ):
        await room.local_participant.publish_data(
            text, reliable=reliable, topic=topic, destination_identities=to or []
        )

    async def sendText(self, text: str, topic: str):
        info = await room.local_participant.send_text(text, topic=topic)
        return {"streamId": info.stream_id}

    async def receiveText(self, topic: str):
        async def read(reader: rtc.TextStreamReader, identity: str):
            tell("text", topic=topic, identity=identity, text=await reader.read_all())

        room.register_text_stream_handler(
            topic, lambda reader, identity: start(read(reader, identity)) and None
        )

    async def rpc(self, to: str, payload: str, method: str = "echo", timeoutMs: int = 5_000):
        started = time.perf_counter()
        value = await room.local_participant.perform_rpc(
            destination_identity=to, method=method, payload=payload, response_timeout=timeoutMs / 1000
        )
        return {"value": value, "elapsedMs": (time.perf_counter() - started) * 1000}

    async def publishDataTrack(self, name: str):
        track = await room.local_participant.publish_data_track(name=name)
        data_tracks[name] = track
        return {"sid": track.info.sid, "usesE2ee": track.info.uses_e2ee}

    async def pushFrames(self, name: str, bytes: int, everyMs: int):
        """Pushes frames, each with its number as its timestamp, until the track is unpublished."""

        async def push():
            count = 0
            while data_tracks[name].is_published():
                payload = (count & 0xFF).to_bytes(1, "big") * bytes
                data_tracks[name].try_push(rtc.DataTrackFrame(payload=payload, user_timestamp=count))
                count += 1
                await asyncio.sleep(everyMs / 1000)

        start(push())

    async def unpublishDataTrack(self, name: str):
        await data_tracks[name].unpublish()

    async def publishEncoded(self, codec: str, path: str, width: int, height: int, everyMs: int):
        """Sends the encoded frames of a JSON file again and again; each begins with whether it is a key frame."""
        with open(path) as file:
            frames = [(key, base64.b64decode(data)) for key, data in json.load(file)]
        source = rtc.EncodedVideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track("encoded", source)
        video_codec = rtc.VideoCodec.Value(codec)
        publication = await room.local_participant.publish_track(
            track,
            rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                video_codec=video_codec,
                simulcast=False,
                video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
            ),
        )

        async def send():
            at = 0
            while True:
                key, data = frames[at % len(frames)]
                frame_type = 0 if key else 1
                timestamp_us = round(at * everyMs * 1000)
                accepted = source.capture_frame(
                    rtc.EncodedVideoFrame(data, width, height, video_codec, frame_type, timestamp_us)
                )
                feedback = source.take_feedback()
                if feedback.keyframe_requested:
                    tell("keyFrameRequested")
                    # A loop begins with a key frame.
                    at += -(at + 1) % len(frames)
                if feedback.rate_control:
                    tell("rate", bitrateBps=feedback.rate_control.target_bitrate_bps, accepted=accepted)
                at += 1
                await asyncio.sleep(everyMs / 1000)

        start(send())
        return {"sid": publication.sid}

    async def publishWithMetadata(self, everyMs: int, codec: str = "VP8", name: str = "numbered"):
        """Films grey, with the number of the frame, a timestamp and data behind each frame."""
        width, height = 320, 240
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track(name, source)
        features = [
            rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP,
            rtc.FrameMetadataFeature.FMF_FRAME_ID,
            rtc.FrameMetadataFeature.FMF_USER_DATA,
        ]
        publication = await room.local_participant.publish_track(
            track,
            rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                simulcast=False,
                video_codec=rtc.VideoCodec.Value(codec),
                frame_metadata_features=features,
            ),
        )

        async def film():
            frame = rtc.VideoFrame(
                width, height, rtc.VideoBufferType.I420, bytes([144]) * (width * height) + bytes([128]) * (width * height // 2)
            )
            for count in range(1, 100_000):
                data = f"data {count}".encode()
                metadata = rtc.FrameMetadata(user_timestamp=count * 1_000, frame_id=count, user_data=data)
                source.capture_frame(frame, timestamp_us=count * everyMs * 1_000, metadata=metadata)
                await asyncio.sleep(everyMs / 1000)

        filming = start(film())

        async def stop():
            filming.cancel()
            await room.local_participant.unpublish_track(publication.sid)

        films[name] = stop
        return {"features": list(publication.frame_metadata_features)}

    async def stopFilming(self, name: str):
        await films.pop(name)()

    async def seen(self, identity: str):
        return views.get(identity, {"frames": 0})

    async def setMetadata(self, metadata: str):
        await room.local_participant.set_metadata(metadata)

    async def setAttributes(self, attributes: dict[str, str]):
        await room.local_participant.set_attributes(attributes)

    async def participants(self):
        return [describe(participant) for participant in room.remote_participants.values()]

    async def resample(self, samples: int, inputRate: int, outputRate: int):
        """How many samples come out of a resampler for so many that go in."""
        resampler = rtc.AudioResampler(inputRate, outputRate)
        frames = resampler.push(bytearray(samples * 2)) + resampler.flush()
        return {"samples": sum(frame.samples_per_channel for frame in frames)}

    async def processAudio(self, level: int):
        """RMS of half a second of a constant level once the audio processing module has taken it out, in place."""
        apm = rtc.AudioProcessingModule(high_pass_filter=True)
        frame = rtc.AudioFrame.create(48_000, 1, 480)
        for _ in range(50):
            frame.data[:] = memoryview(struct.pack("<480h", *[level] * 480)).cast("h")
            apm.process_stream(frame)
        return {"rms": rms(frame.data)}

    async def dropStream(self, identity: str):
        """Drops a stream while the callback is held up and frames of it wait; tells how many of them came afterwards."""
        publications = room.remote_participants[identity].track_publications.values()
        track = next(publication.track for publication in publications if publication.track)
        stream, other = rtc.AudioStream(track), rtc.AudioStream(track)
        handle = stream._ffi_handle.handle
        held_up, dropped = threading.Event(), threading.Event()
        late = 0

        def look(event) -> bool:
            nonlocal late
            frame = event.audio_stream_event
            if frame.stream_handle == handle and frame.WhichOneof("message") == "frame_received":
                late += dropped.is_set()
                held_up.set()
                dropped.wait()
            return False

        events = FfiClient.instance.queue.subscribe(filter_fn=look)
        await asyncio.to_thread(held_up.wait)
        while waiting_bytes() < 20_000:
            await asyncio.sleep(0.01)
        stream._ffi_handle.dispose()
        dropped.set()
        # So many that those which waited are among them.
        frames = 0
        async for _ in other:
            frames += 1
            if frames == 100:
                break
        FfiClient.instance.queue.unsubscribe(events)
        await other.aclose()
        return {"late": late}

    async def setEnvironment(self, variables: dict[str, str]):
        """As packages set variables for the library that they load next."""
        os.environ.update(variables)

    async def openFiles(self):
        """How many descriptors this process has open, but for the one that counts them."""
        return len(os.listdir("/proc/self/fd")) - 1

    async def children(self):
        """Processes that this one started: with offhook, its engine."""
        pids: list[int] = []
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children") as file:
                pids += [int(pid) for pid in file.read().split()]
        return pids

    async def block(self, durationMs: int):
        time.sleep(durationMs / 1000)

    async def exitAtOnce(self):
        os._exit(0)

    async def disconnect(self):
        for tone in tones.values():
            tone["stopped"] = True
        await room.disconnect()


def report_room_events() -> None:
    room.on("data_track_published", lambda track: start(read_frames(track)) and None)
    room.on("data_track_unpublished", lambda sid: tell("dataTrackUnpublished", sid=sid))
    room.on("participant_connected", lambda p: tell("participantConnected", identity=p.identity))
    room.on("participant_disconnected", lambda p: tell("participantDisconnected", identity=p.identity))
    for name, event in (("track_published", "trackPublished"), ("track_unpublished", "trackUnpublished")):
        room.on(
            name,
            lambda publication, p, event=event: tell(
                event, sid=publication.sid, name=publication.name, identity=p.identity
            ),
        )
    for name, event in (
        ("track_subscribed", "trackSubscribed"),
        ("track_unsubscribed", "trackUnsubscribed"),
    ):
        room.on(
            name,
            lambda _track, publication, p, event=event: tell(
                event, sid=publication.sid, name=publication.name, identity=p.identity
            ),
        )
    for name in ("reconnecting", "reconnected"):
        room.on(name, lambda name=name: tell(name))
    room.on("disconnected", lambda reason: tell("disconnected", reason=int(reason or 0)))
    room.on(
        "participant_metadata_changed",
        lambda p, _old, metadata: tell(
            "participantMetadataChanged", metadata=metadata, identity=p.identity
        ),
    )
    room.on(
        "data_received",
        lambda packet: tell(
            "dataReceived",
            text=packet.data.decode(),
            identity=packet.participant.identity if packet.participant else None,
            topic=packet.topic,
        ),
    )


async def answer(commands: Commands, line: str) -> None:
    arguments = json.loads(line)
    request_id, command = arguments.pop("id"), arguments.pop("command")
    try:
        show({"reply": request_id, "value": await getattr(commands, command)(**arguments)})
    except Exception as error:  # noqa: BLE001
        show({"reply": request_id, "error": f"{type(error).__name__}: {error}"})


async def main() -> None:
    global room
    room = rtc.Room()
    report_room_events()
    commands = Commands()
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    tell("started")
    while line := await reader.readline():
        start(answer(commands, line.decode()))
    await room.disconnect()


asyncio.run(main())
