"""A voice agent as any user of livekit-agents writes one; nothing in it knows which engine it runs on.

    offhook-run examples/python/agent.py start

It greets whoever calls and answers when they have spoken. So that it needs no account and no network, its voice is two
recordings in ../speech/, and it tells speech from silence by the voice detector that the framework brings along.
"""

import os
from collections.abc import AsyncIterable
from pathlib import Path

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess, cli, room_io
from livekit.agents.log import logger
from livekit.agents.utils.audio import audio_frames_from_file
from noise_filter import noise_filter

SPEECH = Path(__file__).resolve().parent.parent / "speech"
CALLS_AT_ONCE = int(os.environ.get("AGENT_CALLS", "10"))


def prewarm(_process: JobProcess) -> None:
    """Runs in each job process before a call reaches it."""
    logger.info("ready for a call")


server = AgentServer(
    # The health page of the worker; several workers on one machine need a port each.
    port=int(os.environ.get("AGENT_PORT", "8081")),
    host="127.0.0.1",
    # By calls, not by CPU: on a small machine shared with others the CPU says little about this worker.
    load_fnc=lambda server: len(server.active_jobs) / CALLS_AT_ONCE,
    load_threshold=0.99,
    setup_fnc=prewarm,
    num_idle_processes=int(os.environ.get("AGENT_IDLE_PROCESSES", "1")),
)


def clip(name: str) -> AsyncIterable[rtc.AudioFrame]:
    return audio_frames_from_file(str(SPEECH / name), sample_rate=24_000, num_channels=1)


@server.rtc_session()
async def call(ctx: JobContext) -> None:
    session: AgentSession = AgentSession(turn_handling={"turn_detection": "manual"})

    def say(text: str, file: str) -> None:
        session.say(text, audio=clip(file))

    @session.on("agent_state_changed")
    def on_agent(event) -> None:
        logger.info("agent state", extra={"newState": event.new_state})

    @session.on("user_state_changed")
    def on_user(event) -> None:
        logger.info("caller state", extra={"newState": event.new_state})
        if event.old_state == "speaking" and event.new_state == "listening":
            say("I heard you.", "answer.ogg")

    @session.on("close")
    def on_close(_event) -> None:
        # The caller has hung up; a room without callers closes later, by the server.
        ctx.shutdown("the call is over")

    await ctx.connect()
    logger.info("connected", extra={"room": ctx.room.name})
    await session.start(
        agent=Agent(instructions="Greet the caller."),
        room=ctx.room,
        room_options=room_io.RoomOptions(
            audio_input=room_io.AudioInputOptions(noise_cancellation=noise_filter())
        ),
    )
    say("Hello! Your call was picked up. How can I help?", "greeting.ogg")


if __name__ == "__main__":
    cli.run_app(server)
