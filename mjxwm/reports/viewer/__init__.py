"""A policy live in a browser: worlds stepped on this machine, drawn by mjviser on viser.

`simulation` steps worlds, `policies` reads what acts, `traces` keeps what is plotted, `stage` draws
bodies, `panel` has the buttons and `show` is the loop that joins them. `stage`, `panel` and
`server` need the extra `viewer`; the others do not.
"""
