package meet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/pion/webrtc/v4"
)

// budgets is what a link has, from moments on.
type budgets []struct {
	at     time.Duration
	budget int
}

func (b budgets) now(at time.Duration) (budget int) {
	for _, c := range b {
		if at >= c.at {
			budget = c.budget
		}
	}
	return budget
}

// history has a chooser choose four times a second, and returns each change as "second:layer".
func history(c LayerChooser, d time.Duration, rates func(at time.Duration) []int, budget func(at time.Duration, layer int) int) (changes []string) {
	start, layer := time.Unix(1_800_000_000, 0), -1
	for at := time.Duration(0); at < d; at += layersEvery {
		if next := c.Choose(start.Add(at), rates(at), budget(at, layer)); next != layer {
			layer = next
			changes = append(changes, fmt.Sprintf("%v:%d", at.Seconds(), layer))
		}
	}
	return changes
}

// TestLayerChoice is what the chooser does, second by second. Checks: LAY-5.
func TestLayerChoice(t *testing.T) {
	steady := []int{150_000, 500_000, 1_500_000}
	for name, c := range map[string]struct {
		rates  []int
		budget budgets
		want   []string
	}{
		"not known":              {steady, nil, []string{"0:2"}},
		"all fits":               {steady, budgets{{0, 4_000_000}}, []string{"0:2"}},
		"the middle":             {steady, budgets{{0, 510_000}}, []string{"0:1"}},
		"nothing fits":           {steady, budgets{{0, 1}}, []string{"0:0"}},
		"one sends":              {[]int{0, 500_000, 0}, budgets{{0, 1}}, []string{"0:1"}},
		"nothing is sent":        {[]int{0, 0, 0}, budgets{{0, 1}}, nil},
		"falls":                  {steady, budgets{{0, 4_000_000}, {time.Second, 1_000_000}}, []string{"0:2", "1.5:1", "11.5:2", "24:1", "37:2"}},
		"falls far at once":      {steady, budgets{{0, 4_000_000}, {time.Second, 180_000}}, []string{"0:2", "1:0"}},
		"a dip is no fall":       {steady, budgets{{0, 4_000_000}, {time.Second, 1_000_000}, {1250 * time.Millisecond, 4_000_000}}, []string{"0:2"}},
		"rises after a while":    {steady, budgets{{0, 4_000_000}, {20 * time.Second, 200_000}, {21 * time.Second, 4_000_000}}, []string{"0:2", "20:0", "23:2"}},
		"a little more isn't":    {steady, budgets{{0, 550_000}, {5 * time.Second, 510_000}}, []string{"0:1"}},
		"rises with a margin":    {steady, budgets{{0, 180_000}, {5 * time.Second, 624_000}, {6 * time.Second, 625_000}, {7 * time.Second, 510_000}}, []string{"0:0", "6:1"}},
		"tries the next":         {[]int{150_000, 400_000}, budgets{{0, 200_000}}, []string{"0:0", "7:1", "19.5:0", "32.5:1"}},
		"it doesn't help":        {[]int{150_000, 400_000}, budgets{{0, 200_000}, {8 * time.Second, 179_000}, {9 * time.Second, 200_000}}, []string{"0:0", "7:1", "8:0", "21:1", "33.5:0"}},
		"but nothing far":        {[]int{150_000, 800_000}, budgets{{0, 200_000}}, []string{"0:0"}},
		"nor on a tight link":    {[]int{150_000, 400_000}, budgets{{0, 160_000}}, []string{"0:0"}},
		"waits longer each time": {steady, budgets{{0, 510_000}, {2 * time.Second, 2_000_000}, {4 * time.Second, 510_000}, {5 * time.Second, 2_000_000}}, []string{"0:1", "2:2", "4:1", "10:2"}},
	} {
		got := history(newSteadyChooser(), 45*time.Second, func(time.Duration) []int { return c.rates }, func(at time.Duration, _ int) int { return c.budget.now(at) })
		if c.want == nil {
			c.want = []string{}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// hasty chooses what fits, each time.
type hasty struct{}

func (hasty) Choose(_ time.Time, rates []int, budget int) (layer int) {
	for i, r := range rates {
		if r <= budget {
			layer = i
		}
	}
	return layer
}

// TestLayerChoiceHostile: a member who reports now this and now that of its link can't have the sender change layers
// without end: each change is a key frame, for all who get that layer. In the twin it can. Checks: LAY-5.
func TestLayerChoiceHostile(t *testing.T) {
	rates := []int{150_000, 500_000, 1_500_000}
	for name, report := range map[string]func(at time.Duration, layer int) int{
		"each time the other":        func(at time.Duration, _ int) int { return []int{200_000, 4_000_000}[int(at/layersEvery)%2] },
		"too little for what it has": func(_ time.Duration, layer int) int { return []int{4_000_000, 200_000, 200_000}[max(0, layer)] },
		"before it is believed":      func(at time.Duration, _ int) int { return []int{4_000_000, 200_000}[int(at/(12*time.Second))%2] },
		"just after it was believed": func(at time.Duration, _ int) int { return []int{4_000_000, 200_000}[int(at/(17*time.Second))%2] },
	} {
		minutes := 20
		of := func(c LayerChooser) int {
			return len(history(c, time.Duration(minutes)*time.Minute, func(time.Duration) []int { return rates }, report))
		}
		if n := of(newSteadyChooser()); n > 6*minutes {
			t.Errorf("%s: %d changes in %d minutes", name, n, minutes)
		}
		if n := of(hasty{}); n < 3*minutes {
			t.Errorf("%s: the twin changes %d times", name, n)
		}
	}
}

// TestLayerBudgets: sound and what has one encoding come first, then the screen, then the camera, whose lowest layer is
// always left room for. Checks: LAY-5.
func TestLayerBudgets(t *testing.T) {
	s := newStage(t)
	a, b := s.actor(), s.actor()
	seen := map[int][]int{} // budgets, by the lowest rate
	a.newChooser = func() LayerChooser {
		return chooserFunc(func(rates []int, budget int) int { seen[rates[0]] = append(seen[rates[0]], budget); return 1 })
	}
	a.sendTo(b)
	camera, screen := a.simulcast(2), a.simulcast(2)
	screen.pub.source = SourceScreen
	track := localTrack(t, webrtc.MimeTypeOpus)
	sound, err := a.publish([]webrtc.TrackLocal{track}, PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	voice := &source{t: t, track: track}
	for range 20 {
		s.pass(50 * time.Millisecond)
		camera.frame(0, 1)
		for _, src := range screen.sources {
			src.write(append([]byte{0x10, 0, 0}, make([]byte, 500)...)...)
		}
		voice.write(make([]byte, 80)...)
	}
	a.chooseLayers(s.clock(), func(transport.PeerKey) int { return 1_000_000 })
	rate := func(l *encoding) int { return l.rate.current }
	c0 := rate(camera.pub.layers[0])
	s0, s1 := rate(screen.pub.layers[0]), rate(screen.pub.layers[1])
	v := rate(sound.layers[0])
	if c0 == 0 || s0 == 0 || v == 0 || c0 == s0 {
		t.Fatalf("rates %d, %d, %d", c0, s0, v)
	}
	if want := 900_000 - v - c0; !slices.Equal(seen[s0], []int{want}) {
		t.Errorf("the screen has %v, want %d", seen[s0], want)
	}
	if want := 900_000 - v - s1; !slices.Equal(seen[c0], []int{want}) {
		t.Errorf("the camera has %v, want %d", seen[c0], want)
	}
}

type chooserFunc func(rates []int, budget int) int

func (f chooserFunc) Choose(_ time.Time, rates []int, budget int) int { return f(rates, budget) }
