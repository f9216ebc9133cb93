// The page's half of fer_utils.realtime.BrowserCamera: camera → JPEG → kernel → annotated picture. An ES module for anywidget.

const WIDTH = 640;
const HEIGHT = 480;
const QUALITY = 0.8;
const BETWEEN = 33; // milliseconds from frame to frame, at least
const PATIENCE = 5000; // milliseconds without an answer, then the frame counts as lost
const TRIES = 6; // lost frames in a row, then the camera is given back

const STYLE = `
.fer-camera { max-width: ${WIDTH}px; font-family: var(--jp-ui-font-family, sans-serif); }
.fer-camera canvas { display: block; width: 100%; height: auto; background: #18181c; border-radius: 4px; }
.fer-camera video { position: absolute; width: 1px; height: 1px; opacity: 0; pointer-events: none; }
.fer-camera .bar { display: flex; gap: 6px; align-items: center; margin-top: 6px; }
.fer-camera .bar button { flex: none; width: 80px; }
.fer-camera .said { white-space: pre-line; line-height: 1.4; }
`;

const NOTICE =
  "Apparent expression: what a face looks like, not what a person feels. " +
  "The pictures go to this notebook's kernel and are not stored.";

/** What to do about an error of getUserMedia. */
function advice(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return (
        "The browser refused the camera. Allow it for this page (the camera or lock sign beside the address, or the " +
        "browser's site settings; on a Mac also System Settings, Privacy & Security, Camera), then press Start again. " +
        "Inside VS Code no camera is given to notebooks: open this notebook in a browser."
      );
    case "NotFoundError":
      return "No camera was found on this computer. Plug one in, then press Start again.";
    case "NotReadableError":
    case "AbortError":
      return "The camera is in use by another program, or its driver failed. Close the other program, then press Start again.";
    default:
      return `The camera could not be opened (${error.name}: ${error.message}).`;
  }
}

/** Why this page can have no camera at all; null when it can. */
function obstacle() {
  if (navigator.mediaDevices?.getUserMedia) return null;
  const port = location.port || "8888";
  return (
    `Browsers give a camera only to pages on HTTPS or localhost, and this one is ${location.origin}. Open this page ` +
    `over HTTPS, or as http://localhost:${port}, for example with an SSH tunnel from your computer:\n` +
    `ssh -L ${port}:localhost:${port} ${location.hostname || "host"}`
  );
}

function element(parent, tag, properties = {}) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}

function render({ model, el }) {
  const root = element(el, "div", { className: "fer-camera" });
  element(root, "style", { textContent: STYLE });
  const shown = element(root, "canvas", { width: WIDTH, height: HEIGHT });
  shown.setAttribute("role", "img");
  shown.setAttribute("aria-label", "The camera's picture with apparent expressions");
  const video = element(root, "video", { muted: true, playsInline: true });
  const bar = element(root, "div", { className: "bar" });
  const looks = "jupyter-widgets jupyter-button";
  const startButton = element(bar, "button", { textContent: "Start", type: "button", className: looks });
  const stopButton = element(bar, "button", { textContent: "Stop", type: "button", className: looks });
  const said = element(bar, "span", { className: "said" });
  const grabbed = document.createElement("canvas");

  let session = null; // one Start of this view; null: the camera is off
  let unheard = null; // the session whose end the kernel has not told yet
  let stream = null;
  let number = 0; // of the frame in flight
  let lost = 0; // frames without an answer, in a row
  let sentAt = 0;
  let timer = 0;

  /** Screen readers read messages aloud, but not every frame's labels. */
  function say(text, live = "polite") {
    said.setAttribute("aria-live", live);
    said.textContent = text;
  }

  function release(media) {
    for (const track of media?.getTracks() ?? []) track.stop();
  }

  /** The camera off, whoever wanted it. */
  function end(text) {
    clearTimeout(timer);
    release(stream);
    session = stream = video.srcObject = null;
    startButton.disabled = false;
    stopButton.disabled = true;
    say(text);
  }

  function stop(text) {
    if (session) model.send({ kind: "stop", session });
    end(text);
  }

  async function start() {
    const mine = (session = crypto.randomUUID());
    unheard = null; // the end of an earlier run is not this one's
    lost = 0;
    startButton.disabled = true;
    stopButton.disabled = false;
    say("Waiting for the camera: the browser may ask whether this page may use it.");
    try {
      const size = { width: { ideal: WIDTH }, height: { ideal: HEIGHT } };
      const media = await navigator.mediaDevices.getUserMedia({ video: size, audio: false });
      // Stop was pressed, or the view was closed, while the browser was asking.
      if (mine !== session) return release(media);
      stream = video.srcObject = media;
      media.getTracks().forEach((track) => (track.onended = () => mine === session && stop("The camera went away.")));
      await video.play();
    } catch (error) {
      if (mine === session) end(advice(error));
      return;
    }
    if (mine !== session) return;
    say(`The camera is on, the networks are being loaded. ${NOTICE}`);
    unheard = session;
    model.send({ kind: "start", session });
    grab(mine);
  }

  async function grab(mine) {
    clearTimeout(timer);
    if (mine !== session) return;
    timer = setTimeout(() => {
      const why = "No answer from the kernel: it is still starting, busy with a cell, or gone.";
      if (++lost >= TRIES) return stop(`${why} The camera is off; press Start to try again.`);
      say(`${why} Trying again.`);
      grab(mine);
    }, PATIENCE);
    sentAt = performance.now();
    const current = ++number;
    const scale = Math.min(1, WIDTH / video.videoWidth);
    grabbed.width = Math.round(video.videoWidth * scale);
    grabbed.height = Math.round(video.videoHeight * scale);
    grabbed.getContext("2d").drawImage(video, 0, 0, grabbed.width, grabbed.height);
    const blob = await new Promise((done) => grabbed.toBlob(done, "image/jpeg", QUALITY));
    const data = await blob?.arrayBuffer();
    if (data && mine === session) model.send({ kind: "frame", session, number: current }, undefined, [data]);
  }

  async function show(data) {
    const picture = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
    Object.assign(shown, { width: picture.width, height: picture.height });
    shown.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
  }

  function receive(content, buffers) {
    if (content.kind === "end" && content.session === unheard) {
      unheard = null;
      end(content.text);
    } else if (content.kind === "frame" && content.session === session && content.number === number) {
      lost = 0;
      say(content.text, "off");
      if (buffers?.length) show(buffers[0]);
      const mine = session;
      clearTimeout(timer);
      timer = setTimeout(() => grab(mine), Math.max(0, BETWEEN - (performance.now() - sentAt)));
    }
  }

  startButton.onclick = start;
  stopButton.onclick = () => stop("Stopped: the camera is off.");
  model.on("msg:custom", receive);
  end(NOTICE);
  const reason = obstacle();
  if (reason) {
    startButton.disabled = true;
    say(reason);
  }

  return () => {
    model.off("msg:custom", receive);
    stop("");
  };
}

export default { render };
