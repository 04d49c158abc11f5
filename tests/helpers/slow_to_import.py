"""A module that takes seconds to import."""

import time

time.sleep(3.0)
