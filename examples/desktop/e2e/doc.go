// Package e2e holds the end-to-end tests of the desktop client: the built program and real Chromium, with pictures and
// tones that are recognised at the far end.
//
//	go test -tags e2e ./examples/desktop/e2e
//
// It needs chromium, ffprobe, and what "npm ci" puts beside the page (axe-core). HUISCLOS_SHOTS names a directory for a
// picture of each screen, and has a run of all tests fail if the README shows one that they didn't take; HUISCLOS_LATE=milliseconds has each of the pages' timers come late by up to that, which finds
// what a test takes for granted about the order of things. It contacts nothing but this machine.
// As root on Linux, one test has a network of its own.
package e2e
