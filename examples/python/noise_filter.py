"""A noise filter packaged the way vendors package theirs for Python: a shared library, registered when the module is imported,
and a function that gives the options for an audio stream.

What the library does is set by the environment, see ../noise-filter/noise_filter.c; where it is, by NOISE_FILTER_LIBRARY.
Without that variable there is no filter.
"""

import os
import sys

from livekit import rtc

_library = os.environ.get("NOISE_FILTER_LIBRARY")
# An id of this process: another one registers the filter under another.
_module_id = str(id(sys.modules[__name__]))

if _library:
    rtc.AudioFilter(_module_id, _library)


def noise_filter() -> rtc.NoiseCancellationOptions | None:
    return rtc.NoiseCancellationOptions(_module_id, {}) if _library else None
