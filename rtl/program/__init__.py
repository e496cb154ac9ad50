"""What the program stream is made of, how it is read, and when it is given up.

::

    program ─► program reader ─┬─► layer memory ─► descriptor, increments
                 checksum      ├─► masks/
                 watchdog      └─► output/ (channel records)
"""
