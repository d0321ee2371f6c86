package main

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ip4 makes a packet with UDP or TCP in it.
func ip4(src, dst string, proto byte, payload []byte) []byte {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	header := 8
	if proto == protoTCP {
		header = 20
	}
	b := make([]byte, 20+header, 20+header+len(payload))
	b[0], b[8], b[9] = 0x45, 64, proto
	copy(b[12:], from.Addr().AsSlice())
	copy(b[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[20:], from.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	if proto == protoTCP {
		b[32] = 5 << 4
	}
	return append(b, payload...)
}

func ip6(src, dst string, next byte, rest []byte) []byte {
	b := make([]byte, 40, 40+len(rest))
	b[0], b[6], b[7] = 0x60, next, 64
	copy(b[8:], netip.MustParseAddr(src).AsSlice())
	copy(b[24:], netip.MustParseAddr(dst).AsSlice())
	return append(b, rest...)
}

func TestParsePacket(t *testing.T) {
	stun := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42}, make([]byte, 12)...)
	for name, tt := range map[string]struct {
		packet []byte
		class  class
		bad    bool
	}{
		"STUN":          {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, stun), classSTUN, false},
		"DTLS":          {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{22, 1}), classDTLS, false},
		"SRTP":          {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{128, 1}), classSRTP, false},
		"QUIC, short":   {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{64, 1}), classQUIC, false},
		"QUIC, long":    {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{192, 1}), classQUIC, false},
		"TCP":           {ip4("5.1.0.1:1", "5.2.0.1:2", protoTCP, []byte{1}), classTCP, false},
		"other UDP":     {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{5, 1}), classDatagram, false},
		"ICMP":          {ip4("5.1.0.1:1", "5.2.0.1:2", protoICMP, nil), classKernel, false},
		"multicast":     {ip6("::", "ff02::16", 0, append([]byte{protoICMPv6, 0, 0, 0, 0, 0, 0, 0}, 143, 0)), classKernel, false},
		"cut UDP":       {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, nil)[:25], classOther, false},
		"cut extension": {ip6("::", "ff02::16", 0, []byte{0, 255, 0, 0, 0, 0, 0, 0}), classOther, false},
		"cut header":    {ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, nil)[:19], 0, true},
		"no IP":         {make([]byte, 40), 0, true},
		"empty":         {nil, 0, true},
	} {
		f, _, ok := parsePacket(tt.packet)
		if ok == tt.bad || f.class != tt.class {
			t.Errorf("%s: %v, %v", name, f, ok)
		}
	}
	f, payload, _ := parsePacket(ip4("5.1.0.1:1000", "5.2.0.1:2000", protoTCP, []byte("hello")))
	if f.src.String() != "5.1.0.1:1000" || f.dst.String() != "5.2.0.1:2000" || string(payload) != "hello" {
		t.Errorf("%v, %q", f, payload)
	}
}

func FuzzParsePacket(f *testing.F) {
	f.Add(ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{128, 1}))
	f.Add(ip6("::", "ff02::16", 0, []byte{protoICMPv6, 0, 0, 0, 0, 0, 0, 0, 143, 0}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if _, _, ok := parsePacket(b); ok {
			hop(bytes.Clone(b))
		}
	})
}

// checksum is that of an IPv4 header (RFC 791).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func TestHop(t *testing.T) {
	for id := range 1 << 16 {
		b := ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, nil)
		binary.BigEndian.PutUint16(b[4:], uint16(id))
		binary.BigEndian.PutUint16(b[10:], checksum(b))
		if !hop(b) || b[8] != 63 || checksum(b) != 0 {
			t.Fatalf("identification %d: time to live %d, checksum %x", id, b[8], checksum(b))
		}
	}
	b := ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, nil)
	if b[8] = 1; hop(b) {
		t.Error("a packet lives for ever")
	}
}

// line is a device whose other end is the test.
type line struct {
	in, out chan []byte
	once    sync.Once
}

func newLine() *line { return &line{in: make(chan []byte, 100), out: make(chan []byte, 100)} }

func (l *line) Read(b []byte) (int, error) {
	p, ok := <-l.in
	if !ok {
		return 0, io.EOF
	}
	return copy(b, p), nil
}

func (l *line) Write(b []byte) (int, error) { l.out <- bytes.Clone(b); return len(b), nil }
func (l *line) Close() error                { l.once.Do(func() { close(l.in) }); return nil }

func TestWAN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWAN()
		defer w.close()
		a, b := newLine(), newLine()
		delay := 10 * time.Millisecond
		pa := w.attach("a", a, profile{delay: delay}, netip.MustParsePrefix("5.1.0.1/32"))
		pb := w.attach("b", b, profile{delay: 2 * delay, rate: 8000}, netip.MustParsePrefix("5.2.0.0/16"))
		packet := ip4("5.1.0.1:1", "5.2.7.1:2", protoUDP, make([]byte, 72)) // 100 bytes: 100 ms at 8 kbit/s
		began := time.Now()
		a.in <- packet
		a.in <- packet
		<-b.out
		if took := time.Since(began); took != 130*time.Millisecond {
			t.Errorf("the first packet took %v", took)
		}
		if <-b.out; time.Since(began) != 230*time.Millisecond {
			t.Errorf("the second packet took %v", time.Since(began))
		}
		w.cut(pa, pb, true)
		a.in <- packet
		time.Sleep(time.Minute)
		if len(b.out) > 0 {
			t.Error("a packet came through a cut")
		}
		w.cut(pb, pa, false)
		a.in <- packet
		<-b.out
		a.in <- ip4("5.1.0.1:1", "5.3.0.1:2", protoUDP, nil)
		time.Sleep(time.Second)
		if s := w.strayPackets(); len(s) != 1 || s[0].flow.dst.String() != "5.3.0.1:2" || s[0].port != pa {
			t.Errorf("strays: %v", s)
		}
		pb.profile = profile{loss: 1}
		a.in <- packet
		time.Sleep(time.Minute)
		if len(b.out) > 0 {
			t.Error("a packet came over a line that loses all")
		}
	})
}

func TestWANQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWAN()
		defer w.close()
		a, b := newLine(), newLine()
		w.attach("a", a, profile{}, netip.MustParsePrefix("5.1.0.1/32"))
		w.attach("b", b, profile{delay: time.Hour}, netip.MustParsePrefix("5.2.0.1/32"))
		for range wanQueue + 5 {
			a.in <- ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, nil)
		}
		synctest.Wait()
		if w.lost != 5 {
			t.Errorf("%d lost of %d, the queue holds %d", w.lost, wanQueue+5, wanQueue)
		}
	})
}

func TestForms(t *testing.T) {
	secret := []byte("a secret that is looked for \xff\xfe\xfd")
	needles := forms("secret", secret)
	hide := func(s string) []kept {
		return []kept{{data: ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte(s))}}
	}
	for before := range 6 {
		text := append(make([]byte, before), secret...)
		for name, packet := range map[string]string{
			"raw":       string(text),
			"hex":       hex.EncodeToString(text),
			"base64":    base64.StdEncoding.EncodeToString(append(text, "more"...)),
			"base64url": base64.RawURLEncoding.EncodeToString(text),
			"base32":    base32Small(text),
		} {
			if found := search(hide(packet), needles); len(found) == 0 {
				t.Errorf("%s after %d bytes wasn't found", name, before)
			}
		}
	}
	if found := search(hide(strings.Repeat("nothing of interest ", 50)), needles); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

// TestSearchCounts has what is looked for lie across packets, at a packet's end and twice in one.
func TestSearchCounts(t *testing.T) {
	const word = "confidential"
	for name, payloads := range map[string][]string{
		"across":   {"..confid", "ential.."},
		"three":    {"..con", "fiden", "tial"},
		"at end":   {".." + word, "...", "..."},
		"at start": {word},
	} {
		var packets []kept
		for _, p := range payloads {
			packets = append(packets, kept{data: ip4("5.1.0.1:1", "5.2.0.1:2", protoTCP, []byte(p))})
			packets = append(packets, kept{data: ip4("5.1.0.1:9", "5.2.0.1:2", protoTCP, []byte("another flow"))})
		}
		found := search(packets, []needle{{"word", []byte(word)}, {"long", bytes.Repeat([]byte("x"), 64)}})
		if len(found) != 1 || found[0].times != 1 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestAddressNeedles has addresses lie in packets in each form, and looks for each that a world has.
func TestAddressNeedles(t *testing.T) {
	for n := 1; n < 10; n++ {
		for _, a := range []netip.Addr{wan4(n).Addr(), wan6(n).Addr(), netip.MustParseAddr("192.168.1.20")} {
			needles := addressNeedles("Bob", a)
			sixteen := a.As16()
			for name, payload := range map[string][]byte{
				"text":      []byte("/ip4/" + a.String() + "/udp/4001"),
				"candidate": []byte("candidate:1 1 udp 2130706431 " + a.String() + " 4001 typ host"),
				"multiaddr": append(inMultiaddr(a), 0x91, 0x02, 0x0f, 0xa1),
				"16 bytes":  sixteen[:],
			} {
				if found := search([]kept{{data: ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, payload)}}, needles); len(found) == 0 {
					t.Errorf("%v as %s wasn't found", a, name)
				}
			}
			other := wan4(n + 20).Addr()
			if found := search([]kept{{data: ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, inMultiaddr(other))}}, needles); len(found) > 0 {
				t.Errorf("%v was found in %v: %v", a, other, found)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an address that nobody looks for is passed over in silence")
		}
	}()
	addressNeedles("Bob", netip.MustParseAddr("5.1.0.1"))
}

func TestMediaNeedles(t *testing.T) {
	file := make([]byte, 20000)
	for i := range file {
		file[i] = byte(i * i / 7)
	}
	needles := mediaNeedles(file)
	if len(needles) < 20 {
		t.Fatalf("%d needles", len(needles))
	}
	if len(mediaNeedles(make([]byte, 20000))) > 0 {
		t.Error("silence makes needles")
	}
}

func TestPathOf(t *testing.T) {
	other, bridge, relay := []netip.Addr{wan4(2).Addr()}, []netip.Addr{wan4(1).Addr()}, []netip.Addr{wan4(4).Addr()}
	from := func(a netip.Addr, c class, out bool) flowAt {
		return flowAt{flow{netip.AddrPortFrom(a, 1), netip.MustParseAddrPort("5.3.0.1:2"), c}, out}
	}
	for name, tt := range map[string]struct {
		flows map[flowAt]int
		want  path
	}{
		"UDP":                        {map[flowAt]int{from(other[0], classSRTP, false): 100}, pathUDP},
		"QUIC":                       {map[flowAt]int{from(other[0], classQUIC, false): 100}, pathUDP},
		"TCP":                        {map[flowAt]int{from(other[0], classTCP, false): 100, from(bridge[0], classQUIC, false): 5}, pathTCP},
		"bridge":                     {map[flowAt]int{from(bridge[0], classQUIC, false): 100, from(other[0], classSTUN, false): 10}, pathBridge},
		"relay":                      {map[flowAt]int{from(relay[0], classTCP, false): 100}, pathRelay},
		"sent, not received":         {map[flowAt]int{from(other[0], classSRTP, true): 100}, pathNone},
		"control only":               {map[flowAt]int{from(other[0], classQUIC, false): 20}, pathNone},
		"from somebody else":         {map[flowAt]int{from(wan4(9).Addr(), classSRTP, false): 100}, pathNone},
		"in several flows, together": {map[flowAt]int{from(other[0], classSRTP, false): 30, from(other[0], classQUIC, false): 30}, pathUDP},
	} {
		flows := map[flowAt]counts{}
		for f, n := range tt.flows {
			flows[f] = counts{bytes: 100 * n}
		}
		if got := pathOf(flows, 2*time.Second, other, bridge, relay); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestDestinations(t *testing.T) {
	to := func(a string, c class, out bool) flowAt {
		return flowAt{flow{netip.MustParseAddrPort("5.1.0.1:1"), netip.MustParseAddrPort(a), c}, out}
	}
	flows := map[flowAt]counts{
		to("5.102.100.1:5", classQUIC, true):   {packets: 1},
		to("8.8.8.8:53", classDatagram, false): {packets: 1},
		to("5.9.0.1:0", classKernel, true):     {packets: 1},
	}
	allowed := []netip.Addr{wan4(2).Addr()}
	if got := destinations("Alice", flows, allowed); len(got) > 0 {
		t.Errorf("%v", got)
	}
	flows[to("8.8.8.8:53", classDatagram, true)] = counts{packets: 3}
	flows[to("224.0.0.251:5353", classDatagram, true)] = counts{packets: 1}
	if got := destinations("Alice", flows, allowed); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestExpected(t *testing.T) {
	for c, want := range map[cell]path{
		{kindPublic, kindPublic}:         pathUDP,
		{kindPublic, kindSymmetric}:      pathUDP,
		{kindFullCone, kindSymmetric}:    pathUDP,
		{kindRestricted, kindRestricted}: pathUDP,
		{kindRestricted, kindSymmetric}:  pathBridge,
		{kindSymmetric, kindSymmetric}:   pathBridge,
		{kindDouble, kindSymmetric}:      pathBridge,
		{kindPublic, kindIPv6}:           pathUDP,
		{kindRestricted, kindIPv6}:       pathBridge,
		{kindPublic, kindNoUDP}:          pathTCP,
		{kindNoUDP, kindMapped}:          pathBridge,
		{kindRestricted, kindNoUDP}:      pathBridge,
		{kindNoUDP, kindNoUDP}:           pathBridge,
		{kindNoUDP, kindIPv6}:            pathBridge,
		{kindPublic, kindOnly443}:        pathRelay,
		{kindProxy, kindProxy}:           pathRelay,
	} {
		if got, back := expected(c.a, c.b), expected(c.b, c.a); got != want || back != want {
			t.Errorf("%s: %v and %v, want %v", c.name(), got, back, want)
		}
	}
	if n := len(matrix()); n != len(kinds)*(len(kinds)+1)/2 {
		t.Errorf("%d cells", n)
	}
}

func TestJudge(t *testing.T) {
	good := func() result {
		s := side{Path: pathUDP, First: time.Second, Direct: time.Millisecond, RTT: lineRTT, received: 100}
		return result{Sides: [2]side{s, s}, Expected: pathUDP}
	}
	c := cell{kindRestricted, kindRestricted}
	for name, spoil := range map[string]func(*result){
		"worse path":  func(r *result) { r.Sides[1].Path = pathBridge },
		"slow punch":  func(r *result) { r.Sides[0].Direct = 1100 * time.Millisecond },
		"no punch":    func(r *result) { r.Sides[0].Direct = -1 },
		"long way":    func(r *result) { r.Sides[1].RTT = 2*lineRTT + 1 },
		"too short":   func(r *result) { r.Sides[1].RTT = lineRTT - 1 },
		"slow media":  func(r *result) { r.Sides[0].First = 3100 * time.Millisecond },
		"nothing":     func(r *result) { r.Sides[1].received = 0 },
		"not at all":  func(r *result) { r.Sides[1].Path = pathNone },
		"better path": func(r *result) { r.Expected = pathTCP },
	} {
		r := good()
		spoil(&r)
		r.judge(c)
		if failed := len(r.Failures) > 0; failed != (name != "better path") {
			t.Errorf("%s: %v", name, r.Failures)
		}
	}
}

func TestTables(t *testing.T) {
	s := side{Path: pathUDP, First: 100 * time.Millisecond, RTT: 40 * time.Millisecond}
	all := []result{
		{Name: "a", A: kindPublic, B: kindSymmetric, Sides: [2]side{s, s}},
		{Name: "b", A: kindPublic, B: kindProxy, Pending: "headless has no --relay"},
		{Name: "sleep", Notes: []string{"back after 1 s"}, Failures: []string{"a message was lost"}},
		{Name: "c", A: kindPublic, B: kindPublic, Sides: [2]side{s, s}, Again: 1},
		{Name: "roaming", Notes: []string{"late"}, Failures: []string{"too late"}, Again: 2},
	}
	text, err := replaceTables([]byte("# Head\n"+tablesBegin+"old\n"+tablesEnd+"tail\n"), tables(all))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Head\n", "tail\n", "| public | symmetric | UDP | 100 ms |", "not run: headless has no --relay", "| sleep | back after 1 s | a message was lost |",
		"| 0.0 % |  |\n", "| 0.0 % | measured again, alone |\n", "| roaming | late | too late; measured again, alone, 2 times |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old table is still there")
	}
	if _, err := replaceTables([]byte("# Head\n"), ""); err == nil {
		t.Error("a file without a place for the tables was written")
	}
	if want := "2 of 5 cells and scenarios were measured again, 1 of them twice."; !strings.Contains(string(text), want) {
		t.Errorf("no %q in\n%s", want, text)
	}
	if failed, pending := tally(all); failed != 2 || pending != 1 {
		t.Errorf("%d failed, %d pending", failed, pending)
	}
	for _, r := range all {
		if !strings.Contains(r.line(), r.Name) {
			t.Errorf("%q", r.line())
		}
	}
}

// TestTooMany: that a few are measured again is due to the machine, that many are isn't.
func TestTooMany(t *testing.T) {
	for _, tt := range []struct {
		all, once, twice int
		ok               bool
	}{{80, 0, 0, true}, {80, 26, 8, true}, {80, 27, 0, false}, {80, 9, 9, false}, {5, 3, 3, true}, {5, 4, 0, false}} {
		var all []result
		for i := range tt.all {
			var r result
			if i < tt.once {
				r.Again++
			}
			if i < tt.twice {
				r.Again++
			}
			all = append(all, r)
		}
		if err := tooMany(all); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestNeedsAreKnown(t *testing.T) {
	if !slices.Contains(cell{kindPublic, kindProxy}.needs(), "--relay") || !slices.Contains(cell{kindMapped, kindMapped}.needs(), "--router") {
		t.Error("a cell doesn't say what it needs")
	}
}

func base32Small(b []byte) string { return strings.ToLower(base32.StdEncoding.EncodeToString(b)) }

// TestOptions: a part of the experiments never replaces the whole table.
func TestOptions(t *testing.T) {
	some := regexp.MustCompile("symmetric")
	for _, tt := range []struct {
		o  options
		ok bool
	}{
		{options{}, true}, {options{write: true}, true}, {options{run: some}, true}, {options{short: true}, true},
		{options{write: true, run: some}, false}, {options{write: true, short: true}, false},
	} {
		if err := tt.o.check(); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt.o, err)
		}
	}
}
