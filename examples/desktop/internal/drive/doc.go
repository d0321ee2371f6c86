// Package drive moves the desktop client as a person would: it starts the program, opens its page in a real Chromium
// with pictures and tones of its own making for devices, presses what can be seen, and looks at what arrives.
//
//	test or measurement ─▶ Agent    the built program, a process
//	                    ─▶ Browser  chromium, a process, devices from Sign
//	                         └▶ Page  a tab: Press, Type, Until, Pictures, Tones
//
// It never reaches into the agent, and presses nothing that isn't visible and on top. It is for tests and measurements
// alone; the client doesn't contain it.
package drive
