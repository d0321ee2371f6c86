package wordlist

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// rewrite is one step of a phonetic key.
type rewrite struct {
	pattern *regexp.Regexp
	to      string
}

func rewrites(pairs ...string) []rewrite {
	var list []rewrite
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, rewrite{regexp.MustCompile(pairs[i]), pairs[i+1]})
	}
	return list
}

func apply(list []rewrite, word string) string {
	for _, r := range list {
		word = r.pattern.ReplaceAllString(word, r.to)
	}
	return squeeze(word)
}

// squeeze makes runs of one letter a single letter.
func squeeze(word string) string {
	var out []rune
	for _, r := range word {
		if len(out) == 0 || out[len(out)-1] != r {
			out = append(out, r)
		}
	}
	return string(out)
}

// frenchRules are coarser than French is: they merge é, è and e, open and
// closed o, the nasals of "brun" and "brin". Two words that sound the same have
// the same key; some that don't, too. Capitals and digits stand for sounds:
// 1 "eu", 2 "ou", 5 "in", 6 "an", 7 "on", E "é è", N "gn", X "ch", W "oi".
var frenchRules = rewrites(
	`mpt`, `nt`, `œ`, `oe`, `[àâ]`, `a`, `[îï]`, `i`, `ô`, `o`, `[ùûü]`, `u`, `[éèêë]`, `E`,
	`([aeiouyE])s([aeiouyE])`, `${1}z$2`,
	// Silent endings; "_" keeps the place of a mute e until the nasals are read.
	`([aeiouyE].*[^aeiouyE])er$`, `${1}E`, `ez$`, `E`, `et$`, `E`, `[sx]$`, ``, `e$`, `_`, `[tdp]$`, ``, `([nr])[cg]$`, `$1`,
	// Consonants spelt with several letters, or read by what follows.
	`ç`, `s`, `sch|sh|ch`, `X`, `ph`, `f`, `qu`, `k`, `q`, `k`,
	`sc([eEiy_])`, `s$1`, `c([eEiy_])`, `s$1`, `c`, `k`, `x`, `ks`,
	`gn`, `N`, `ge([aou])`, `j$1`, `gu([eEiy_])`, `G$1`, `g([eEiy_])`, `j$1`, `g`, `G`, `h`, ``, `w`, `v`,
	// Vowels of several letters.
	`eau|au`, `o`, `oeu|eu`, `1`, `ou`, `2`,
	`(?:oin)([^aeiouyEnm_]|$)`, `V5$1`, `oi|oy`, `Wa`,
	`(?:ain|aim|ein|eim|yn|ym|in|im|un|um|ien)([^aeiouyEWnm_]|$)`, `5$1`,
	`(?:an|am|en|em)([^aeiouyEWnm_]|$)`, `6$1`, `(?:on|om)([^aeiouyEWnm_]|$)`, `7$1`,
	`ai|ay|ei|e`, `E`, `y`, `i`, `_`, ``,
)

func frenchKey(word string) string { return apply(frenchRules, norm.NFC.String(word)) }

// englishRules keep the consonants much as Metaphone does and reduce vowels to
// their usual long and short sounds, unstressed endings to one.
var englishRules = rewrites(
	`^kn|^gn`, `n`, `^wr`, `r`, `^ps`, `s`, `mb$`, `m`,
	`eigh`, `A`, `igh`, `I`, `ough|augh`, `O`, `gh`, `g`, `tch|ch`, `C`, `sh|ti(on)$`, `S$1`, `th`, `T`,
	`ph`, `f`, `ck|cc|q`, `k`, `sc([eiy])`, `s$1`, `c([eiy])`, `s$1`, `c`, `k`, `wh`, `w`,
	`x`, `ks`, `dge|dj`, `j`, `g([eiy])`, `j$1`, `z`, `s`,
	`ower$|our$`, `Our`, `are$|air$|ear$`, `Ar`, `aste$`, `Ast`,
	`ai|ay`, `A`, `ee|ea|ei`, `E`, `ie([^aeiou])`, `E$1`,
	`a([^aeiou])e$`, `A$1`, `e([^aeiou])e$`, `E$1`, `[iy]([^aeiou])e$`, `I$1`, `o([^aeiou])e$`, `O$1`, `u([^aeiou])e$`, `U$1`,
	`([^aeiou])(?:ie|ey|y)$`, `${1}i`, `oa|ow$|ou`, `O`, `oo|ue|ew|ui`, `U`,
	`([^aeiou])(?:er|or|ar|ur|re)$`, `${1}@r`, `([^aeiou])(?:le|el|al|il|ol)$`, `${1}@l`,
	`([^aeiou])(?:en|on|an|ain|in)$`, `${1}@n`, `e$`, ``, `y`, `i`,
)

func englishKey(word string) string {
	return apply(englishRules, squeezeConsonants(word))
}

// squeezeConsonants undoubles consonants only: "oo" and "ee" are sounds.
func squeezeConsonants(word string) string {
	var b strings.Builder
	for i := range len(word) {
		if i > 0 && word[i] == word[i-1] && !strings.ContainsRune("aeiou", rune(word[i])) {
			continue
		}
		b.WriteByte(word[i])
	}
	return b.String()
}

// The keys are only worth something if they hear what people hear.
func TestPhoneticKeysHearHomophones(t *testing.T) {
	for _, c := range []struct {
		name      string
		key       func(string) string
		same, not string // pairs
	}{
		{
			"French", frenchKey,
			"ancre/encre pain/pin mer/mère maire/mère balai/ballet chaîne/chêne cygne/signe verre/vert ver/vert " +
				"conte/compte compte/comte foie/foi saut/seau sceau/seau amande/amende autel/hôtel phare/fard cane/canne " +
				"dessin/dessein danse/dense renne/reine tante/tente poids/pois selle/celle voie/voix " +
				"champ/chant basilic/basilique lait/laid quart/car golfe/golf balade/ballade brun/brin point/poing tache/tâche",
			"bateau/gâteau poisson/poison tableau/tablier rose/rosse cousin/coussin fenêtre/fenouil",
		},
		{
			"English", englishKey,
			"meat/meet knot/not write/rite wrap/rap peace/piece sail/sale pain/pane tail/tale medal/meddle flea/flee steel/steal " +
				"hair/hare bear/bare waist/waste cellar/seller cell/sell mail/male mantel/mantle plain/plane rode/road lesson/lessen " +
				"principal/principle pedal/peddle flour/flower whale/wale whine/wine links/lynx night/nite beach/beech week/weak",
			"lemon/melon window/winter garden/garland button/basket cabin/cable",
		},
	} {
		for pair := range strings.FieldsSeq(c.same) {
			a, b, _ := strings.Cut(pair, "/")
			if c.key(a) != c.key(b) {
				t.Errorf("%s: %s: keys %q and %q, want the same", c.name, pair, c.key(a), c.key(b))
			}
		}
		for pair := range strings.FieldsSeq(c.not) {
			a, b, _ := strings.Cut(pair, "/")
			if c.key(a) == c.key(b) {
				t.Errorf("%s: %s: both have the key %q", c.name, pair, c.key(a))
			}
		}
	}
}
