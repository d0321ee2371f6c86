package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// attendance writes the record as it is now. It proves that people met, so nobody else may read it, and no file that is
// there is touched.
func (p *participant) attendance(ctx context.Context, file string) error {
	if file == "" {
		return errors.New("say where to: attendance FILE")
	}
	a, err := p.m.Attendance(ctx)
	if err != nil {
		return err
	}
	err = writeNew(file, func(f *os.File) error {
		if strings.HasSuffix(file, ".csv") {
			return a.WriteCSV(f)
		}
		_, err := f.Write(a.Encode())
		return err
	})
	if err != nil {
		return err
	}
	d := attendanceData{File: file, People: len(a.People)}
	p.out.event("attendance", d, "wrote the attendance of %d to %s: it proves to anyone who has it that these people met", d.People, file)
	return nil
}

type attendanceData struct {
	File   string `json:"file"`
	People int    `json:"people"`
}

// verifyFile checks a record offline and shows it. It returns the exit status.
func verifyFile(file string, stdout, stderr io.Writer, l crypto.Language) int {
	a, err := readRecord(file)
	if err != nil {
		var bad *meet.AttendanceError
		text := oneLine(err)
		if errors.As(err, &bad) && l == crypto.French {
			text = "ce fichier n'est pas un relevé de présence authentique : il a été modifié ou coupé, ou il est d'une autre version"
		}
		_, _ = fmt.Fprintln(stderr, "headless:", text)
		return statusInput
	}
	(&recordTable{w: stdout, language: l, a: &a}).show()
	return statusOver
}

func readRecord(file string) (meet.AttendanceRecord, error) {
	f, err := os.Open(file)
	if err != nil {
		return meet.AttendanceRecord{}, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, meet.MaxAttendanceSize+1))
	if err != nil {
		return meet.AttendanceRecord{}, err
	}
	return meet.VerifyAttendance(data)
}

// recordTable shows a record to people.
type recordTable struct {
	w        io.Writer
	language crypto.Language
	a        *meet.AttendanceRecord
}

func (t *recordTable) in(english, french string) string {
	if t.language == crypto.French {
		return french
	}
	return english
}

func (t *recordTable) line(english, french string, args ...any) {
	_, _ = fmt.Fprintln(t.w, visible(fmt.Sprintf(t.in(english, french), args...)))
}

func (t *recordTable) show() {
	a := t.a
	t.line("Genuine: all of it follows from operations signed with the keys shown.", "Authentique : tout découle d'opérations signées par les clés indiquées.")
	t.line("Meeting %s", "Réunion %s", hexBytes(a.Meeting[:]))
	t.line("Began %s", "Ouverte le %s", t.at(a.Began))
	if a.Ended.IsZero() {
		t.line("Not ended, as far as this record knows", "Pas close, d'après ce relevé")
	} else {
		t.line("Ended %s by %s", "Close le %s par %s", t.at(a.Ended), t.who(a.EndedBy))
	}
	_, _ = fmt.Fprintln(t.w)
	w := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	table := func(cells ...string) {
		for i := range cells {
			cells[i] = visible(cells[i])
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	table(t.in("NAME", "NOM"), t.in("KEY", "CLÉ"), t.in("ROLE", "RÔLE"), t.in("FROM", "DE"), t.in("TO", "À"), t.in("DURATION", "DURÉE"), t.in("ENTRY AND EXIT", "ENTRÉE ET SORTIE"))
	for i := range a.People {
		p := &a.People[i]
		name, key, role := strings.Join(p.Names, " / "), hexKey(p.Identity)[:16], t.role(p.Role)
		for k := range p.Periods {
			d := &p.Periods[k]
			to, duration := "–", "–"
			if !d.To.IsZero() {
				to, duration = t.at(d.To), d.Duration().Truncate(time.Second).String()
			}
			table(name, key, role, t.at(d.From), to, duration, t.entry(d)+t.exit(d))
			name, key, role = "", "", ""
		}
	}
	_ = w.Flush()
	_, _ = fmt.Fprintln(t.w)
	for i := range a.People {
		p := &a.People[i]
		for _, r := range p.Roles {
			t.line("%s: %s from %s on, by %s", "%s : %s depuis le %s, par %s", t.who(p.Identity), t.role(r.Role), t.at(r.At), t.who(r.By))
		}
		for _, at := range p.Resumed {
			t.line("%s: restarted %s", "%s : a redémarré le %s", t.who(p.Identity), t.at(at))
		}
		if p.Signed == 0 {
			t.line("%s: signed nothing here, so only others say that they came", "%s : n'a rien signé ici ; seuls d'autres disent sa venue", t.who(p.Identity))
		}
	}
	for _, r := range a.Remarks {
		t.remark(r)
	}
	t.line("Whoever has this record can prove to anyone that these people met. Times are by the clocks of those who signed; names are what people called themselves. "+
		"The last operations of a meeting can be left out without a trace, and nobody's word but a person's own shows that they stayed.",
		"Qui détient ce relevé peut prouver à quiconque que ces personnes se sont réunies. Les heures sont celles des horloges des signataires ; les noms, ceux que chacun s'est donnés. "+
			"Les dernières opérations d'une réunion peuvent être omises sans trace, et seule la parole d'une personne montre qu'elle est restée.")
}

func (t *recordTable) at(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05 -07:00") }

func (t *recordTable) who(id crypto.IdentityKey) string {
	if name := t.a.Name(id); name != "" {
		return name
	}
	return id.String()
}

func (t *recordTable) role(r meet.Role) string {
	switch r {
	case meet.Host:
		return t.in("host", "hôte")
	case meet.Viewer:
		return t.in("viewer", "spectateur")
	}
	return t.in("member", "membre")
}

func (t *recordTable) entry(d *meet.AttendancePeriod) string {
	switch d.Entry {
	case meet.EntryCreated:
		return t.in("began the meeting", "a ouvert la réunion")
	case meet.EntryResumed:
		return t.in("came back", "est revenu")
	case meet.EntryPromoted:
		return fmt.Sprintf(t.in("made host by %s", "promu hôte par %s"), t.who(d.By))
	}
	return fmt.Sprintf(t.in("admitted by %s", "admis par %s"), t.who(d.By))
}

func (t *recordTable) exit(d *meet.AttendancePeriod) string {
	switch d.Exit {
	case meet.ExitLeft:
		return t.in(", left", ", est parti")
	case meet.ExitRemoved:
		return fmt.Sprintf(t.in(", removed by %s", ", exclu par %s"), t.who(d.OutBy))
	case meet.ExitBanned:
		return fmt.Sprintf(t.in(", removed for good by %s", ", exclu pour de bon par %s"), t.who(d.OutBy))
	case meet.ExitEnded:
		return t.in(", to the end", ", jusqu'à la fin")
	case meet.ExitVoid:
		return t.in(", not in at the end", ", absent à la fin")
	}
	return t.in(", end not known", ", fin inconnue")
}

func (t *recordTable) remark(r meet.AttendanceRemark) {
	switch r.Kind {
	case meet.RemarkClocks:
		t.line("Doubtful: the clocks of %s and %s disagree by at least %v.", "Douteux : les horloges de %s et de %s diffèrent d'au moins %v.", t.who(r.Who), t.who(r.Other), r.By.Truncate(time.Second))
	case meet.RemarkVoidAdmission:
		t.line("Without effect: %s admitted %s (%s).", "Sans effet : %s a admis %s (%s).", t.who(r.Other), r.Name, r.Who)
	case meet.RemarkEquivocation:
		t.line("Doubtful: %s signed two histories that exclude each other.", "Douteux : %s a signé deux histoires qui s'excluent.", t.who(r.Who))
	}
}
