"""An empty job: what a job costs before it has done anything."""

from lakehouse import session

session.start("empty").stop()
