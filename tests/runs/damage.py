"""What happens to files on disks: bits that flip, ends that are cut off."""

import random
from pathlib import Path


def damages(folder: Path, number: int, seed: int = 0):
    """Damages files of a folder at random places, one at a time, and mends each afterwards.

    Yields:
        The file, and what was done to it.
    """
    rng = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    for i in range(number):
        file = rng.choice(files)
        whole = file.read_bytes()
        place = rng.randrange(len(whole))
        if i % 3 == 2:
            file.write_bytes(whole[:place])
            yield file, f"{file} cut at {place}"
        else:
            bit = rng.randrange(8)
            flipped = bytes([whole[place] ^ 1 << bit])
            file.write_bytes(whole[:place] + flipped + whole[place + 1 :])
            yield file, f"bit {bit} of byte {place} of {file} flipped"
        file.write_bytes(whole)
