"""Pages that need nothing else: HTML with its style, its script and its figures (SVG) in it.

Reports of runs and of the gradients' laboratory are made of these; nothing here knows of either.
"""
