// Package house holds the rules of the repository as a test: who may import whom,
// that each package says what it does in its doc.go, that files stay short, and
// that whatever is exported is documented.
//
//	examples ──▶ meet ──▶ roster ──▶ crypto
//	   │           │                   ▲
//	   │           └──▶ transport ─────┘
//	   └──▶ meet/meettest, transport/transporttest, crypto (examples/relay: transport/relay)
//
// The package has no code of its own and nothing imports it.
package house
