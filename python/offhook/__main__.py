"""`python -m offhook agent.py start` is `offhook-run agent.py start`; `python -m offhook dev` is `offhook dev`."""

import sys

from . import cli, run

if len(sys.argv) > 1 and sys.argv[1] in cli.COMMANDS:
    cli.main()
else:
    run.main()
