package transport

// unsafeSwitches turn protections off. Only this package's tests can set them, to show
// that the attacks work without the protection.
type unsafeSwitches struct {
	openGate       bool // strangers are treated as members
	anyAddress     bool // no address filter
	claimOnCheck   bool // a check sent to an address claims it
	resendPlain    bool // retransmissions under the old sequence number
	anyFingerprint bool // any DTLS certificate
	replayOffers   bool // old offers are answered
	keepFiles      bool // file streams outlive their peer's membership
	anyBridge      bool // circuits for anybody
	keepStreams    bool // and so do media streams
	oneCrowd       bool // strangers crowd members out of what is remembered
	anyStrangers   bool // any number of strangers connects, for ever, and opens streams
	anyDoors       bool // any number of door streams, at any rate, and nothing need be said on them
	anyQueue       bool // queues have no bounds, and nobody waits
	keepCircuits   bool // circuits go on beside direct connections
	anyFrames      bool // media streams hold anything, and there may be any number
	anyDelay       bool // media streams queue without limits
	showAddress    bool // RelayOnly hides nothing
	eagerRelays    bool // relays that are never there are tried as often as those that just went
	anyHalfOpen    bool // one address may have all handshakes that are under way
	anyGossip      bool // whoever sends gossip without end has it passed on
	anyNudge       bool // whoever says that it lets us in is sent everything each time
	anyPace        bool // members' messages are read as fast as they come
	anyCircuits    bool // one member may ask for all circuits to another
	fewStreams     bool // all members' streams that are negotiated are bounded together
	keepStrangers  bool // who has gone is remembered for ever
	anyRate        bool // one address may connect as often as it likes
	anyFiles       bool // any number of file streams
	waitToEnd      bool // to end a stream is to wait for its peer
	anyChecks      bool // ICE sends checks as fast as it can, and any number
	anyPunch       bool // limited relays may bring any number of circuits, and are asked however often
	anyPuncher     bool // whoever comes through a limited relay is told where we are, and dialled
	noChoke        bool // datagrams go and come whatever the address filter says
	trustSilence   bool // a QUIC connection on which nothing is answered is waited for

	limitedCircuits  bool // circuits through limited relays are connections
	pastReservations bool // what is reserved for others is over when it is granted, as by a clock that is ahead
}
