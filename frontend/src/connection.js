// Says that the stream of news broke off, and since when; it goes when the stream is there again, which asks for news.
class Connection extends HTMLElement {
  connectedCallback() {
    this.onLost = () => this.lose();
    this.onFound = () => this.toggle(false);
    document.addEventListener("htmx:sse:error", this.onLost);
    document.addEventListener("htmx:error", this.onLost);
    document.addEventListener("htmx:sse:after:message", this.onFound);
  }

  disconnectedCallback() {
    document.removeEventListener("htmx:sse:error", this.onLost);
    document.removeEventListener("htmx:error", this.onLost);
    document.removeEventListener("htmx:sse:after:message", this.onFound);
  }

  lose() {
    if (!this.firstElementChild.hidden) return;
    this.querySelector("time").textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    this.toggle(true);
  }

  toggle(lost) {
    this.firstElementChild.hidden = !lost;
    document.documentElement.classList.toggle("lost", lost);
  }
}

customElements.define("haru-connection", Connection);
