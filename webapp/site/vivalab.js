/* What the browser does by itself: draws the clock, keeps drafts safe, follows links that a handler returned. */
(() => {
  "use strict";

  const SAVE_AFTER_MS = 800;
  const SAVE_AT_LEAST_EVERY_MS = 4000;
  const RETRY_MS = 3000;
  const GRACE_MS = 2500;

  const minutesAndSeconds = (seconds) => {
    const whole = Math.max(0, Math.ceil(seconds));
    const hours = Math.floor(whole / 3600);
    const rest = `${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
    return hours ? `${hours}:${rest}` : rest;
  };

  const ago = (milliseconds) => {
    const seconds = Math.round(milliseconds / 1000);
    if (seconds < 2) return "just now";
    if (seconds < 60) return `${seconds} s ago`;
    return `${Math.floor(seconds / 60)} min ago`;
  };

  /* The deadline is the server's; the browser only counts down, corrected by the difference of the two clocks. */
  class Clock {
    constructor(element, onEnd) {
      this.element = element;
      this.onEnd = onEnd;
      this.spoken = null;
      this.timer = setInterval(() => this.draw(), 250);
    }

    set(room) {
      this.room = room;
      this.skew = room.server_ms - Date.now();
      this.ended = false;
      this.draw();
    }

    draw() {
      if (!this.element.isConnected) return clearInterval(this.timer);
      if (!this.room) return;
      const now = this.room.paused_ms ?? Date.now() + this.skew;
      const left = (this.room.deadline_ms - now) / 1000;
      const digits = this.element.querySelector(".digits");
      const text = minutesAndSeconds(left);
      if (digits && digits.textContent !== text) digits.textContent = text;
      const face = this.element.querySelector(".clock");
      face?.classList.toggle("amber", left <= 300 && left > 60);
      face?.classList.toggle("red", left <= 60);
      const track = this.element.querySelector(".track i");
      if (track) track.style.width = `${Math.min(100, Math.max(0, 100 - (100 * left) / this.room.allowed_s))}%`;
      this.speak(left);
      if (left <= 0 && !this.ended && this.room.paused_ms == null) {
        this.ended = true;
        this.onEnd();
      }
    }

    speak(left) {
      const mark = left <= 60 ? "One minute left." : left <= 300 ? "Five minutes left." : null;
      if (mark && mark !== this.spoken) {
        this.spoken = mark;
        const voice = this.element.querySelector(".voice");
        if (voice) voice.textContent = mark;
      }
    }
  }

  /* One attempt's text: on the server when it can be, in this browser until then. */
  class Draft {
    constructor(textarea, state) {
      this.textarea = textarea;
      this.state = state;
      this.timer = null;
      textarea.addEventListener("input", () => this.changed());
      addEventListener("online", () => this.save());
      addEventListener("pagehide", () => this.leave());
      addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.save());
      setInterval(() => this.show(), 1000);
    }

    open(room) {
      this.attempt = room.attempt_id;
      this.key = `vivalab:draft:${room.attempt_id}`;
      this.report = room.report_url;
      this.revision = room.revision;
      this.saved = room.text;
      this.savedAt = room.saved_ms == null ? null : room.saved_ms - room.server_ms + Date.now();
      this.trouble = null;
      this.closed = false;
      this.write(room.text);
      const kept = this.kept();
      if (kept && kept.text !== room.text) {
        if (kept.base === room.revision) {
          this.write(kept.text);
          this.save();
        } else {
          this.write(kept.text);
          this.conflict({ text: room.text, revision: room.revision });
        }
      }
      this.show();
    }

    kept() {
      try {
        return JSON.parse(localStorage.getItem(this.key));
      } catch {
        return null;
      }
    }

    keep() {
      try {
        localStorage.setItem(this.key, JSON.stringify({ text: this.textarea.value, base: this.revision }));
        return true;
      } catch {
        return false;
      }
    }

    write(text) {
      if (this.textarea.value === text) return;
      this.textarea.value = text;
      this.silent = true;
      this.textarea.dispatchEvent(new Event("input", { bubbles: true }));
      this.silent = false;
    }

    changed() {
      if (this.silent || this.closed || !this.attempt) return;
      this.keep();
      this.firstChange ??= Date.now();
      clearTimeout(this.timer);
      const overdue = Date.now() - this.firstChange > SAVE_AT_LEAST_EVERY_MS;
      this.timer = setTimeout(() => this.save(), overdue ? 0 : SAVE_AFTER_MS);
      this.show();
    }

    async save(options = {}) {
      if (!this.attempt || this.closed || this.conflicted || this.saving) return;
      const text = this.textarea.value;
      if (text === this.saved) return this.forget(text);
      clearTimeout(this.timer);
      this.firstChange = null;
      this.saving = true;
      const sentBefore = this.sent;
      this.sent = text;
      let answer;
      try {
        answer = await fetch(`/attempts/${this.attempt}/draft`, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ text, revision: this.revision }),
          ...options,
        });
      } catch {
        this.failed("Not saved: offline, kept in this browser");
        return;
      } finally {
        this.saving = false;
      }
      const said = await answer.json().catch(() => ({}));
      if (answer.ok) {
        Object.assign(this, { revision: said.revision, saved: text, savedAt: Date.now(), trouble: null });
        this.forget(text);
      } else if (answer.status === 409 && said.text === sentBefore) {
        // Our own text: it was stored, and only the answer to that request was lost.
        this.revision = said.revision;
        this.saved = said.text;
        this.save();
      } else if (answer.status === 409) {
        this.conflict(said);
      } else if (answer.status === 410) {
        this.closed = true;
        this.trouble = said.detail;
        setTimeout(() => location.assign(this.report), GRACE_MS);
      } else {
        const why = typeof said.detail === "string" ? said.detail : "The server is in trouble.";
        this.failed(`Not saved, kept in this browser. ${why}`);
      }
      this.show();
    }

    failed(sentence) {
      this.trouble = this.keep() ? sentence : "Not saved, and this browser keeps nothing: copy your text";
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.save(), RETRY_MS);
      this.show();
    }

    forget(text) {
      if (this.kept()?.text === text) localStorage.removeItem(this.key);
      if (this.textarea.value !== text) this.changed();
    }

    conflict(other) {
      this.conflicted = true;
      this.trouble = "Not saved: changed in another tab or device";
      const box = document.querySelector(".conflict");
      if (!box) return;
      box.hidden = false;
      box.querySelector("pre").textContent = other.text || "(empty)";
      box.querySelector("[data-keep]").onclick = () => this.settle(other.revision, null);
      box.querySelector("[data-take]").onclick = () => this.settle(other.revision, other.text);
      this.show();
    }

    settle(revision, text) {
      this.conflicted = false;
      this.trouble = null;
      this.revision = revision;
      document.querySelector(".conflict").hidden = true;
      if (text !== null) {
        this.saved = text;
        this.write(text);
        localStorage.removeItem(this.key);
      } else {
        this.saved = null;
      }
      this.save();
    }

    leave() {
      if (this.textarea.value !== this.saved) this.save({ keepalive: true });
    }

    show() {
      if (!this.state.isConnected) return;
      const dirty = this.textarea.value !== this.saved;
      const sentence =
        this.trouble ?? (this.savedAt == null ? (dirty ? "Saving…" : "") : dirty ? "Saving…" : `Saved ${ago(Date.now() - this.savedAt)}`);
      if (this.state.textContent !== sentence) this.state.textContent = sentence;
      this.state.classList.toggle("trouble", this.trouble !== null);
    }
  }

  const present = (selector) =>
    new Promise((resolve) => {
      const look = () => {
        const found = document.querySelector(selector);
        found ? resolve(found) : setTimeout(look, 50);
      };
      look();
    });

  const room = {
    /* Mounts the room's bar, which carries the room as the server last told it. */
    async mount(element, watch) {
      this.clock = new Clock(element, () => this.end());
      const open = async () => {
        const told = element.querySelector("[data-room]")?.dataset.room;
        if (!told) return;
        const value = (this.value = JSON.parse(told));
        this.clock.set(value);
        document.body.classList.toggle("paused", value.paused_ms != null);
        const textarea = await present("#answer textarea");
        textarea.setAttribute("aria-label", "Your answer");
        textarea.readOnly = value.paused_ms != null;
        if (this.draft?.textarea !== textarea) this.draft = new Draft(textarea, await present(".save-state"));
        if (this.draft.attempt !== value.attempt_id) this.draft.open(value);
      };
      watch("value", open);
      await open();
    },

    /* What a submission sends: the text as it stands, and the revision it grew from. */
    hand_in() {
      const text = document.querySelector("#answer textarea")?.value ?? "";
      if (!text.trim() && !confirm("Your answer is empty. Submit it anyway?")) return { cancelled: true };
      return { attempt_id: this.value.attempt_id, text, revision: this.draft.revision };
    },

    handed_in() {
      this.draft.closed = true;
      localStorage.removeItem(this.draft.key);
    },

    async end() {
      await this.draft?.save();
      if (this.draft) this.draft.trouble = "Time is up. Your last saved text is submitted.";
      this.draft?.show();
      setTimeout(() => location.assign(this.value.report_url), GRACE_MS + 1500);
    },
  };

  /* Buttons inside a view report what they stand for: data-act names the event's payload; data-change does it for a
     field whose value was changed. Every event carries the view's fields. */
  const acts = (element, trigger) => {
    const report = (data) => {
      const fields = element.querySelectorAll("[name]");
      trigger("select", { ...data, fields: Object.fromEntries([...fields].map((f) => [f.name, f.value])) });
    };
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-act]");
      if (!button || button.disabled || (button.dataset.confirm && !confirm(button.dataset.confirm))) return;
      report({ ...button.dataset });
    });
    element.addEventListener("change", (event) => {
      const field = event.target.closest("[data-change]");
      if (field) report({ act: field.dataset.change });
    });
  };

  /* Times into the reader's own time zone; on a narrow screen what can be folded is folded. */
  const tidy = (element, watch) => {
    const now = () => {
      element.querySelectorAll("time[datetime]").forEach((time) => {
        const when = new Date(time.dateTime);
        if (!Number.isNaN(when.valueOf())) time.textContent = when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      });
      if (matchMedia("(max-width: 760px)").matches) element.querySelectorAll("details[data-fold]").forEach((d) => (d.open = false));
    };
    watch("value", now);
    now();
  };

  /* A candidate's own model: the key goes from its field to the server's memory, and nowhere else. */
  const own = (element) => {
    const send = async (method, url, body) => {
      const options = { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) };
      const answer = await fetch(url, options).catch(() => null);
      if (answer?.ok) return null;
      const said = answer && (await answer.json().catch(() => ({})));
      return typeof said?.detail === "string" ? said.detail : "The server could not be asked. Try again.";
    };
    const act = async (button, steps) => {
      const trouble = element.querySelector("[role=alert]");
      button.disabled = true;
      trouble.textContent = "";
      for (const step of steps) {
        const problem = await step();
        if (problem) {
          trouble.textContent = problem;
          button.disabled = false;
          return;
        }
      }
      location.assign(`/report?attempt=${element.querySelector("[data-own]").dataset.own}`);
    };
    const grade = () => send("POST", `/attempts/${element.querySelector("[data-own]").dataset.own}/own-grade`);
    element.addEventListener("submit", (event) => {
      event.preventDefault();
      const form = event.target;
      const brought = Object.fromEntries(new FormData(form));
      act(form.querySelector("button"), [() => send("PUT", "/own-model", brought), grade]);
    });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-own-act]");
      if (!button || button.disabled) return;
      act(button, [button.dataset.ownAct === "grade" ? grade : () => send("DELETE", "/own-model")]);
    });
  };

  /* Draws the attention of one answer token over the patches; the weights of all tokens, layers and heads stand in the
     view as 16-bit levels. */
  const attention = (element, watch) => {
    const HEAT = [232, 62, 12];
    const mount = () => {
      const root = element.querySelector(".attention");
      if (!root || root.mounted) return;
      root.mounted = true;
      const [layers, heads, count, columns] = JSON.parse(root.dataset.shape);
      const bytes = Uint8Array.from(atob(root.dataset.weights), (letter) => letter.charCodeAt(0));
      const levels = new Uint16Array(bytes.buffer);
      const scale = Number(root.dataset.scale);
      const chosen = (name) => Number(root.querySelector(`[data-${name}]`)?.value ?? -1);
      const picks = (index, size) => (index < 0 ? [...Array(size).keys()] : [index]);
      let token = 0;
      const draw = () => {
        const someLayers = picks(chosen("layer"), layers);
        const someHeads = picks(chosen("head"), heads);
        const weights = new Float64Array(columns);
        for (const layer of someLayers)
          for (const head of someHeads) {
            const start = ((layer * heads + head) * count + token) * columns;
            for (let column = 0; column < columns; column++) weights[column] += levels[start + column];
          }
        const mean = scale / (someLayers.length * someHeads.length);
        const most = Math.max(...weights, 1e-9);
        let best = null;
        root.querySelectorAll("canvas.heat").forEach((canvas, picture) => {
          const start = Number(canvas.dataset.start);
          const image = new ImageData(canvas.width, canvas.height);
          for (let patch = 0; patch < canvas.width * canvas.height; patch++) {
            const share = weights[start + patch] / most;
            image.data.set([...HEAT, Math.round(215 * share)], 4 * patch);
            if (share === 1) best = { picture, row: Math.floor(patch / canvas.width), column: patch % canvas.width };
          }
          canvas.getContext("2d").putImageData(image, 0, 0);
        });
        const percent = (value) => `${(100 * mean * value).toFixed(1)} %`;
        const where = best ? `; most of it, ${percent(most)}, on row ${best.row + 1}, column ${best.column + 1}` : "";
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const name = root.querySelector(`[data-token="${token}"]`).textContent.trim();
        root.querySelector(".said").textContent = `“${name}” puts ${percent(total)} of its attention on the picture${where}.`;
      };
      root.addEventListener("click", (event) => {
        const button = event.target.closest("[data-token]");
        if (!button) return;
        token = Number(button.dataset.token);
        root.querySelectorAll("[data-token]").forEach((each) => each.setAttribute("aria-pressed", each === button));
        draw();
      });
      root.addEventListener("change", draw);
      draw();
    };
    watch("value", mount);
    mount();
  };

  /* Code of an exercise: what is typed goes to the server as one more state, and stays in this browser until then. */
  class CodeDraft {
    constructor(element) {
      this.element = element;
      this.timer = null;
      addEventListener("pagehide", () => this.save(true));
      addEventListener("online", () => this.save());
      setInterval(() => this.show(), 1000);
    }

    open() {
      const head = this.element.querySelector("[data-code]");
      if (!head) return;
      const { code, attempt, saved, source } = head.dataset;
      this.url = `/code/${code}${attempt ? `?attempt=${attempt}` : ""}`;
      this.key = `vivalab:code:${code}:${attempt}`;
      this.served = source;
      this.text = this.served;
      this.savedAt = saved ? Date.parse(saved) : null;
      this.trouble = null;
      this.closed = false;
      const kept = localStorage.getItem(this.key);
      if (kept != null && kept !== this.served) {
        // typed while the server couldn't be reached: it becomes the newest state, and the page begins with it
        this.text = kept;
        this.save().then((saved) => saved && location.reload());
      }
      this.show();
    }

    changed(text) {
      if (!this.url || text === this.text || text == null) return;
      this.text = text;
      try {
        localStorage.setItem(this.key, text);
      } catch {
        /* the server's copy is the one that counts */
      }
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.save(), SAVE_AFTER_MS);
    }

    async save(leaving = false) {
      clearTimeout(this.timer);
      if (!this.url || this.closed || this.text === this.served) return false;
      const source = this.text;
      try {
        const answer = await fetch(this.url, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ source }),
          keepalive: leaving && source.length < 60000,
        });
        const told = await answer.json();
        if (!answer.ok) {
          this.closed = answer.status !== 500;
          this.trouble = told.detail || "Not saved.";
        } else {
          this.served = source;
          this.savedAt = Date.now();
          this.trouble = null;
          if (this.text === source) localStorage.removeItem(this.key);
          this.show();
          return true;
        }
      } catch {
        this.trouble = "Not saved: offline, kept in this browser";
        this.timer = setTimeout(() => this.save(), RETRY_MS);
      }
      this.show();
      return false;
    }

    show() {
      const state = this.element.querySelector(".save-state");
      if (!state || !this.url) return;
      const words = this.trouble || (this.text !== this.served ? "Saving…" : this.savedAt ? `Saved ${ago(Date.now() - this.savedAt)}` : "");
      if (state.textContent !== words) state.textContent = words;
      state.classList.toggle("trouble", Boolean(this.trouble));
    }
  }

  let openCode = null;
  const code = {
    mount(element, watch) {
      openCode = new CodeDraft(element);
      openCode.open();
      watch("value", () => openCode.open());
    },
    changed: (text) => openCode?.changed(text),
  };

  const go = (url) => {
    if (typeof url === "string" && url.startsWith("/")) location.assign(url);
  };

  window.vivalab = { room, code, acts, tidy, own, attention, go };
})();
