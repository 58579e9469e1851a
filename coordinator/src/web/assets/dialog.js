// Asks before anything is changed, and asks for the token.

import { h } from "./dom.js";
import { Refused } from "./api.js";

/**
 * Asks for confirmation and does it; resolves to what was done, or to null.
 *
 * @param {{title: string, text: (Node|string)[], verb: string, tone?: string, type?: string,
 *   reason?: "wanted"|"required", fields?: Node[], act: (values: {reason: string, form: FormData})
 *   => Promise<any>}} question where `type` is what must be typed to go on.
 */
export function confirm({ title, text, verb, tone, type, reason, fields = [], act }) {
  return new Promise((resolve) => {
    const typed = type && h("input", { name: "typed", autocomplete: "off", spellcheck: "false", required: true, class: "mono" });
    const why = reason && h("input", { name: "reason", maxlength: 1000, autocomplete: "off", required: reason === "required" });
    const go = h("button", { class: `primary ${tone || ""}`, type: "submit", value: "go" }, verb);
    const said = h("div", { class: "said", role: "alert" });
    const form = h("form", { method: "dialog" },
      h("h2", {}, title),
      text.map((part) => (typeof part === "string" ? h("p", {}, part) : part)),
      why && h("label", {}, reason === "required" ? "Reason, kept with the job" : "Reason (may stay empty)", why),
      fields,
      typed && h("label", {}, h("span", {}, "Type ", h("code", {}, type), " to confirm"), typed),
      said,
      h("div", { class: "buttons" },
        h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Leave it"), go));
    const dialog = h("dialog", { "aria-label": title }, form);
    let result = null;
    const check = () => (go.disabled = Boolean((type && typed.value.trim() !== type) || (reason === "required" && !why.value.trim())));
    form.addEventListener("input", check);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      go.setAttribute("aria-busy", "true");
      try {
        result = (await act({ reason: why ? why.value.trim() : "", form: new FormData(form) })) ?? true;
        dialog.close();
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        said.textContent = `${error.message}${error.hint ? `. ${error.hint}` : ""}`;
        go.removeAttribute("aria-busy");
        check();
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    check();
    dialog.showModal();
    ((reason === "required" && why) || typed || why || form.querySelector("input, textarea") || go).focus();
  });
}

/** Asks for a token; resolves to it, or to null. */
export function askToken(message, wrong) {
  return new Promise((resolve) => {
    const field = h("input", { type: "password", name: "token", autocomplete: "off", class: "mono", required: true });
    const form = h("form", { method: "dialog" },
      h("h2", {}, "This coordinator asks who you are"),
      h("p", {}, wrong ? "The token that this tab has was not accepted." : "Paste a token with the role of a viewer or more. It is kept until this tab is closed."),
      message && h("p", { class: "muted" }, message),
      h("label", {}, "Token", field),
      h("div", { class: "buttons" }, h("button", { class: "quiet", type: "button", onclick: () => dialog.close("") }, "Not now"),
        h("button", { class: "primary", type: "submit" }, "Go on")));
    const dialog = h("dialog", { "aria-label": "token" }, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close(field.value.trim());
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
    document.body.append(dialog);
    dialog.showModal();
    field.focus();
  });
}

/** Shows something for reading only. */
export function tell(title, ...content) {
  const dialog = h("dialog", { "aria-label": title },
    h("form", { method: "dialog" }, h("h2", {}, title), content,
      h("div", { class: "buttons" }, h("button", { class: "primary" }, "Close"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

let notice;
/** Says for a few seconds what was done. */
export function toast(text) {
  notice?.remove();
  notice = h("div", { class: "toast", role: "status" }, text);
  document.body.append(notice);
  const mine = notice;
  setTimeout(() => mine.remove(), 5000);
}
