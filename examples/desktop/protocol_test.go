package main

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mirrored are all types that cross, by their name in protocol.js.
var mirrored = map[string]any{
	"State": state{}, "App": app{}, "Feature": feature{}, "Settings": settings{}, "Device": device{}, "Store": store{}, "KeptMeeting": keptMeeting{},
	"Contact": contact{}, "NetworkSettings": networkSettings{}, "DHTSettings": dhtSettings{}, "Relay": relay{}, "Phase": phase{}, "Summary": summary{},
	"Meeting": meeting{}, "Rights": rights{}, "Invitation": invitation{}, "InvitationText": invitationText{}, "Reach": reach{},
	"ReachAddress": reachAddress{}, "Member": member{}, "Knock": knock{}, "Policy": policy{}, "Track": track{}, "Media": media{}, "Message": message{},
	"SharedFile": file{}, "FileCopy": fileCopy{}, "Recording": recording{}, "Words": words{}, "Verification": verification{}, "Warning": warning{},
	"Stats": stats{}, "LinkStats": linkStats{}, "TrackStats": trackStats{}, "SentStats": sentStats{}, "Exposure": exposure{},
	"ExposureRow": exposureRow{}, "ExposureParty": exposureParty{}, "Failure": failure{},
	"SettingsSet": settingsSet{}, "NetworkSet": networkSet{}, "RelayAdd": relayAdd{}, "RelayRemove": relayRemove{}, "ReplyFollow": replyFollow{}, "LinkHandler": linkHandler{}, "Create": create{}, "LinkCheck": linkCheck{}, "LinkChecked": linkChecked{}, "Join": join{},
	"Invite": invite{}, "Admit": admit{}, "Deny": deny{}, "Lock": lock{}, "PolicySet": policySet{}, "Role": role{}, "Remove": remove{},
	"KeepSending": keepSending{}, "MediaOffer": mediaOffer{}, "MediaAnswer": mediaAnswer{}, "MediaSend": mediaSend{}, "MediaWatch": mediaWatch{},
	"KeyFrame": keyFrame{}, "Say": say{}, "Said": said{}, "React": react{}, "Hand": hand{}, "MuteAsk": muteAsk{}, "FileOffer": fileOffer{},
	"FileUpload": fileUpload{}, "FileAccept": fileAccept{}, "FileRefuse": fileRefuse{}, "FilePause": filePause{}, "FileResume": fileResume{},
	"FileWithdraw": fileWithdraw{}, "FileSave": fileSave{}, "FilesDiscard": filesDiscard{}, "Download": download{}, "RecordingConsent": recordingConsent{}, "WordsShown": wordsShown{},
	"Verify": verify{}, "VerifiedSay": verifiedSay{}, "StatsAsk": statsAsk{}, "ExposureShown": exposureShown{}, "Attendance": attendance{},
	"AttendanceShown": attendanceShown{}, "AttendanceLine": attendanceLine{}, "StoreCreate": storeCreate{}, "StoreUnlock": storeUnlock{},
	"StorePassphrase": storePassphrase{}, "StoreHistory": storeHistory{}, "HistoryShow": historyShow{}, "HistoryShown": historyShown{},
	"HistoryDelete": historyDelete{}, "Restore": restore{}, "ContactSet": contactSet{}, "ContactDelete": contactDelete{},
	"Alone": alone{}, "Cancel": cancel{}, "Leave": leave{}, "End": end{}, "Done": done{}, "Quit": quit{}, "ReachAskRouter": reachAskRouter{},
	"RecordingAsk": recordingAsk{}, "RecordingStop": recordingStop{}, "RecordingSave": recordingSave{}, "RecordingDiscard": recordingDiscard{},
	"WordsAsk": wordsAsk{}, "ExposureAsk": exposureAsk{}, "StoreExport": storeExport{}, "StoreErase": storeErase{}, "Backup": backup{},
	"JoinedEvent": joinedEvent{}, "LeftEvent": leftEvent{}, "ChattedEvent": chattedEvent{}, "ReactionEvent": reactionEvent{},
	"MuteWantedEvent": muteWantedEvent{}, "LevelsEvent": levelsEvent{}, "StatsEvent": statsEvent{}, "FileProgressEvent": fileProgressEvent{},
	"EncoderEvent": encoderEvent{}, "MediaGrowEvent": mediaGrowEvent{}, "LinkEvent": linkEvent{}, "PlainEvent": plainEvent{},
}

// TestMirror: protocol.js names the same types, fields, requests and codes as the agent.
func TestMirror(t *testing.T) {
	raw, err := os.ReadFile("page/protocol.js")
	if err != nil {
		t.Fatal(err)
	}
	js := string(raw)
	seen := map[string]bool{}
	property := regexp.MustCompile(`(?m)^ \* @property \{.*?\} \[?([A-Za-z0-9]+)\]?(?: |$)`)
	for _, m := range regexp.MustCompile(`(?s)@typedef \{object\} (\w+)(.*?)\*/`).FindAllStringSubmatch(js, -1) {
		if m[1] == "OwnEvents" {
			continue
		}
		v, ok := mirrored[m[1]]
		if !ok {
			t.Errorf("protocol.js has %s, the agent hasn't", m[1])
			continue
		}
		seen[m[1]] = true
		var there []string
		for _, p := range property.FindAllStringSubmatch(m[2], -1) {
			there = append(there, p[1])
		}
		var here []string
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			here = append(here, name)
		}
		if !slices.Equal(here, there) {
			t.Errorf("%s: the agent has %v, protocol.js %v", m[1], here, there)
		}
	}
	for name := range mirrored {
		if !seen[name] {
			t.Errorf("protocol.js lacks %s", name)
		}
	}
	list, _, _ := strings.Cut(js[strings.Index(js, "@typedef {{"):], "}} Requests")
	var requests []string
	for _, m := range regexp.MustCompile(`"([a-z-]+)": \[`).FindAllStringSubmatch(list, -1) {
		requests = append(requests, m[1])
		if handlers[m[1]] == nil {
			t.Errorf("the agent doesn't know the request %s", m[1])
		}
	}
	if len(requests) != len(handlers) {
		t.Errorf("%d requests in protocol.js, %d in the agent", len(requests), len(handlers))
	}
	source, err := os.ReadFile("protocol.go")
	if err != nil {
		t.Fatal(err)
	}
	var codesHere []string
	for _, m := range regexp.MustCompile(`code = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		codesHere = append(codesHere, m[1])
	}
	var codesThere []string
	union, _, _ := strings.Cut(js[strings.Index(js, `"bad-request"`):], ")}")
	for _, m := range regexp.MustCompile(`"([a-z-]+)"`).FindAllStringSubmatch(union, -1) {
		codesThere = append(codesThere, m[1])
	}
	if !slices.Equal(codesHere, codesThere) {
		t.Errorf("codes: the agent has %v, protocol.js %v", codesHere, codesThere)
	}
}

// TestRequestFields: no request has a field that means something else in every message.
func TestRequestFields(t *testing.T) {
	for name, v := range mirrored {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			field, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if field == "re" || field == "error" && strings.HasSuffix(name, "Shown") {
				t.Errorf("%s has a field %s", name, field)
			}
		}
	}
	raw, err := json.Marshal(reply{Re: 3, Result: said{"x"}})
	if err != nil || string(raw) != `{"re":3,"message":"x"}` {
		t.Error(string(raw), err)
	}
	raw, err = json.Marshal(reply{Re: 3})
	if err != nil || string(raw) != `{"re":3}` {
		t.Error(string(raw), err)
	}
}
