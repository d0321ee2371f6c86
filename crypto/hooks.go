package crypto

// hooks switches single protections off, so that a test can show that it is this
// protection which stops its attack. Only tests of this package can set one: the type
// and every field that holds it are unexported, and their zero value protects.
type hooks struct {
	weakKeys       bool // IDN-4: accept keys of small order
	bundleMeeting  bool // IDN-3: don't verify the bundle's signature
	doorKey        bool // DOR-2: don't compare the responder's static
	commitment     bool // DOR-3: don't open the commitment
	knockKeys      bool // DOR-4: don't compare the knock's bundle with the handshake
	knockSignature bool // IDN-7: don't verify the knock's signature
	admit          bool // DOR-5: accept any Admit
	hybrid         bool // PAI-1: leave ML-KEM out of the data keys
	installEarly   bool // PAI-2: install at message 1
	pairReplay     bool // PAI-3: accept a counter again
	pairLifetime   bool // PAI-4: seal and open whatever the age
	answerLimit    bool // PAI-5: answer everything
	ephemeralCheck bool // PAI-6: give small-order ephemerals to Noise
	streamContext  bool // KEY-2: authenticate the header alone
	wrapSignature  bool // KEY-3: don't verify a wrap's signature
	wrapConflict   bool // KEY-3: let a later wrap or announcement replace one
	readerReplay   bool // KEY-9: accept a counter again
	ratchetFirst   bool // KEY-8: commit the ratchet before authentication
	keepOldKeys    bool // KEY-8: don't erase
	anyTries       bool // KEY-11: derive later steps for whatever comes
	awaitPast      bool // KEY-8: keep packets of generations before the first that was wrapped
	noBufferLimit  bool // KEY-8: keep every packet of an unknown key
	sourceReplay   bool // MED-3: seal a source packet again
	messageSigned  bool // MSG-1: don't verify the author's signature
	sealedPrivate  bool // MSG-4, FIL-2: open what is for one person though it was sealed for all
	opening        bool // VER-4: don't open the asker's commitment
	fileContext    bool // FIL-5: don't authenticate a chunk's transfer, place and end
}
