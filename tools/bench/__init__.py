"""The benchmark: this project beside other packages, on the same frames, on the same cores, in one run.

`make bench` builds the other packages' environments (`environment.py`, `.venv-bench`) and runs the driver (`run.py`),
which writes figure/bench.json and figure/bench.png and prints the table.

What makes the comparison fair:

- The same frames, made once (`frames.py`): a real face that moves, one or four of it, 640 × 480 and 1280 × 720. Each
  contender gets them as an array in memory, in the colour order that it documents; reading and that conversion are not
  timed.
- The same cores: all contenders inherit the driver's, two unless `--cores` says otherwise, and choose their number of
  threads themselves. No accelerator: CUDA is hidden from all.
- One run, interleaved: each contender is a process of its own (`worker.py`), all alive at once, one at work. In a
  round each works through the same piece of the same scene, and the order turns from round to round, so that a slow
  minute of the machine meets all of them. Ratios are taken within a round.
- Warm-up is not counted: the first frames of every scene, and one frame at the start of every piece (the contender
  before has emptied the caches).
- Median latency and FPS are medians over the rounds, p95 is over all frames of all rounds. Start-up is the median of
  several starts, from the process's creation until the first label has arrived; the files are in the system's cache.
  Peak memory is the process's largest resident set (VmHWM) over the whole run, code and libraries included.
- Each contender works with its default settings. Two lines more compare equal work: MTCNN alone with the same smallest
  face, thresholds and pyramid (`EQUAL` in `contenders.py`), and our whole pipeline without tracking and at full size,
  which is what `fer` does with each frame. MTCNN on a copy of 320 pixels, as the pipeline searches, stands beside
  BlazeFace, which reduces the frame too (192 and 128 pixels).
- How many of the faces were found stands in the results too: to find nothing is fast.
- Accuracy is measured on FER2013's whole PrivateTest, its 48 × 48 images fed straight to the classifier without a
  detector, where FER_DATA names FER2013.
- Whoever does not start or stops on the way stays in the table, with the reason.

What is not compared: packages that load their weights from the network when they run (deepface, hsemotion, rmn,
py-feat, emotiefflib). A benchmark that anyone can repeat cannot depend on that.
"""
