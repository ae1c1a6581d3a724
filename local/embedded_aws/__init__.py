"""The embedded AWS: the MiniStack emulator in one process, with what this project needs and MiniStack lacks.

See docs/embedded-aws.md for the list of what is real, what is added here and what is faked.
"""
