// Command measure measures what the agent costs in time: the hop between page and agent, packet by packet, and from
// camera to screen through two agents beside a direct call between the same two browsers, in the same run.
//
//	go run ./examples/desktop/measure
//
//	 hop      page ──loopback──▶ bridge ──loopback──▶ page            each packet carries when it was sent
//	 agents   canvas ─▶ Chromium ─▶ agent ═sealed═▶ agent ─▶ Chromium ─▶ video    the picture is a clock
//	 direct   canvas ─▶ Chromium ───────────────────────────▶ Chromium ─▶ video    the same clock
//
// It needs chromium, and stays on this machine.
package main
