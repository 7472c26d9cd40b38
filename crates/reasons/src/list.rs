//! The list. A reason says what happened in the words of an operator, and what to change.

macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal, $status:literal $phrase:literal $audience:ident, $remedy:literal;)*) => {
        /// Why the exchange answered a request itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[doc = $meaning])+ $name,)* }

        impl Reason {
            /// All of them, those about the same subject together.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The code: two words with a dot between, the same in every release.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)* }
            }

            /// The SIP status of the answer; where the place has a choice, the usual one.
            pub fn status(self) -> u16 {
                match self { $(Reason::$name => $status,)* }
            }

            /// The reason phrase of the answer; `None` for that of the status (RFC 3261 §21).
            pub fn phrase(self) -> Option<&'static str> {
                let phrase = match self { $(Reason::$name => $phrase,)* };
                Some(phrase).filter(|phrase| !phrase.is_empty())
            }

            /// Whether a stranger may read it: it tells nothing that the request or the status does not show.
            pub fn is_public(self) -> bool {
                match self { $(Reason::$name => $audience,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$name => concat!($($meaning),+),)* }.trim_ascii_start()
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Reason::$name => $remedy,)* }
            }
        }
    };
}

/// Strangers may read it.
const PUBLIC: bool = true;
/// Only a caller that has proven who it is may read it.
const HIDDEN: bool = false;

reasons! {
    /// The source address is outside the networks that the exchange accepts requests from.
    AclSource = "acl.source", 403 "" HIDDEN, "Add the network to accessControl.allow, or remove it from accessControl.deny.";
    /// A request to the exchange itself came from outside the networks that it accepts requests from.
    AclService = "acl.service", 403 "" HIDDEN, "Add the network to accessControl.allow, or remove it from accessControl.deny.";
    /// The access control list of the domain or trunk refuses the source address.
    AclDenied = "acl.denied", 403 "" HIDDEN, "Add the network to the list that the domain or trunk names (trunkline acl).";
    /// The domain or trunk names an access control list that does not exist, so nobody passes.
    AclMissing = "acl.missing", 403 "" HIDDEN, "Create the list, or remove the reference from the domain or trunk.";
    /// The peer's password is right, but its own access control list, or that of its domain, refuses the source address.
    AclPeer = "acl.peer", 403 "Address Not on the List" HIDDEN, "Add the address to the access control list of the peer; if it has none, to that of its domain.";

    /// A call was challenged, and the client sent no credentials within 10 s.
    AuthUnanswered = "auth.unanswered", 401 "" HIDDEN, "Set user name and password in the phone; nothing if nobody here called.";
    /// The caller must authenticate; the usual first answer to a phone.
    AuthRequired = "auth.required", 401 "" HIDDEN, "Nothing if the phone then authenticates; otherwise set user name and password in the phone.";
    /// The nonce of the credentials is too old, was used before or was sent to another address; the phone gets a new one.
    AuthStale = "auth.stale", 401 "" HIDDEN, "Nothing; if it repeats without end, compare the phone's address before and after (a NAT that changes addresses).";
    /// The password is wrong.
    AuthWrongPassword = "auth.wrong-password", 401 "" HIDDEN, "Set the same password in the phone and in its credentials (trunkline credentials).";
    /// The user that the credentials are for does not exist, has no credentials or belongs to another realm.
    AuthUnknownUser = "auth.unknown-user", 401 "" HIDDEN, "Check user name and domain in the phone; set credentialsRef of the agent or peer.";
    /// As before, while the exchange reveals which users exist (routing.revealUnknownUsers).
    AuthUnknownUserRevealed = "auth.unknown-user-revealed", 403 "" HIDDEN, "Check user name and domain in the phone; set credentialsRef of the agent or peer.";
    /// Too many wrong passwords came from this address for this user, so the credentials were not looked at.
    AuthBanned = "auth.banned", 401 "" HIDDEN, "Correct the password; it is accepted when it is checked next, within 20 s. See docs/exchange.md, when somebody guesses passwords.";
    /// The credentials were made for another Request-URI than that of the request.
    AuthDigestUri = "auth.digest-uri", 403 "Digest URI Differs From Request-URI" HIDDEN, "Correct the phone or the proxy before it, or set digestUri: off.";
    /// From names another user than the one that authenticates.
    AuthOtherName = "auth.other-name", 403 "" HIDDEN, "Set the phone's user name and the name it authenticates with to those of the agent.";
    /// A call that goes on to another callee would be another caller's than before.
    AuthOtherCaller = "auth.other-caller", 403 "" HIDDEN, "Look at From in trunkline explain: it names an account that did not make the call.";
    /// The realm of the challenge cannot be written.
    AuthRealm = "auth.realm", 400 "" PUBLIC, "Correct the host in From or in the Request-URI.";
    /// The call leaves through a trunk, and a call that goes on to another callee cannot be challenged.
    AuthCallsOut = "auth.calls-out", 480 "" HIDDEN, "Let the caller authenticate first: authenticate of its domain, or routing.authenticate.";
    /// The call leads to another domain, and a call that goes on to another callee cannot be challenged.
    AuthCrossDomain = "auth.cross-domain", 480 "" HIDDEN, "Let the caller authenticate first, or set interDomain: open for the called domain.";
    /// A target leads back to the exchange, and what it leads to wants the caller to authenticate again.
    AuthInside = "auth.inside", 403 "" HIDDEN, "Let the caller authenticate first, or call the target directly.";

    /// Nobody knows the caller, and no rule lets it call here.
    CallerUnknown = "caller.unknown", 403 "" HIDDEN, "Create the agent, peer or trunk that calls, or link the called number.";
    /// As before, while the exchange reveals which users exist (routing.revealUnknownUsers).
    CallerUnknownRevealed = "caller.unknown-revealed", 403 "" HIDDEN, "Create the agent, peer or trunk that calls.";
    /// A caller that has proven nothing may begin calls alone, and in its call send what is part of one.
    CallerCallsOnly = "caller.calls-only", 403 "Calls Only" PUBLIC, "Authenticate the caller, or set routing.openMethods.";
    /// A caller at an open number that is not shown to be its carrier names itself as somebody at a host of the exchange, and phones would show it as a caller inside.
    CallerInsideName = "caller.inside-name", 403 "From Names Somebody Inside" PUBLIC, "Give the trunk an access list with the addresses of the carrier (--acl), if this is the carrier.";
    /// The calling agent or peer is disabled.
    CallerDisabled = "caller.disabled", 403 "" HIDDEN, "Enable it (trunkline agents or trunkline peers).";

    /// Nothing has the called name.
    CalleeUnknown = "callee.unknown", 404 "" HIDDEN, "Check the called name and host; create the agent, peer or number.";
    /// The called host is none of ours, and the caller may not call there.
    CalleeForeignHost = "callee.foreign-host", 404 "" HIDDEN, "Check the called host; create the domain, or a trunk and an egress policy.";
    /// No user is called.
    CalleeEmpty = "callee.empty", 404 "" HIDDEN, "Call a user or number.";
    /// The called GRUU belongs to no phone of ours.
    CalleeUnknownGruu = "callee.unknown-gruu", 404 "" HIDDEN, "Call the address of record; the phone may have been replaced.";
    /// The called GRUU names a phone that neither agent nor peer has.
    CalleeLostGruu = "callee.lost-gruu", 404 "" HIDDEN, "Call the address of record; the account may have been deleted.";
    /// The temporary GRUU ended when its phone registered anew (RFC 5627 section 3.1.2).
    CalleeEndedGruu = "callee.ended-gruu", 404 "" HIDDEN, "Call the address of record, or the GRUU of the present registration.";
    /// The called agent is disabled.
    CalleeDisabled = "callee.disabled", 480 "" HIDDEN, "Enable the agent (trunkline agents).";
    /// The called peer is disabled.
    CalleePeerDisabled = "callee.peer-disabled", 480 "" HIDDEN, "Enable the peer (trunkline peers).";
    /// No phone is registered for the called name.
    CalleeNotRegistered = "callee.not-registered", 480 "" HIDDEN, "Check with trunkline registrations whether the phone is registered, and in trunkline calls why its REGISTER fails.";
    /// The call would go out, but this caller has no way out.
    CalleeNoWayOut = "callee.no-way-out", 404 "" HIDDEN, "Let an agent or peer call, or link the number to one.";
    /// None of the callee's addresses may be used or can be resolved.
    CalleeNoWay = "callee.no-way", 480 "" HIDDEN, "Check the Contact of the registration and the address of the peer; see docs/security.md for addresses that are never used.";
    /// No target of the call could be tried.
    CalleeNoTarget = "callee.no-target", 480 "" HIDDEN, "Look at the targets with trunkline explain.";
    /// The address of the callee may not be used, or its name cannot be resolved.
    CalleeForbiddenWay = "callee.forbidden-way", 480 "" HIDDEN, "Check the Contact of the registration and the address of the peer; see docs/security.md for addresses that are never used.";
    /// The request wants TLS all the way (sips:), and the callee has no such way.
    CalleeInsecure = "callee.insecure", 480 "" PUBLIC, "Register the callee over TLS or WSS, or call sip: instead of sips:.";
    /// Without a transaction (stateless): the callee's address cannot be used.
    CalleeStateless = "callee.stateless-no-way", 480 "" HIDDEN, "Check the address of the callee; see docs/security.md for addresses that are never used.";
    /// The callee did not answer the request: nothing came back.
    CalleeSilent = "callee.silent", 408 "" HIDDEN, "Check that the phone or server is on and reachable; behind a NAT, that its registration is fresh.";
    /// The phone rang and nobody took the call in time.
    CalleeNoAnswer = "callee.no-answer", 408 "" HIDDEN, "Nothing, or set noAnswerSeconds and fallback.noAnswer of the agent.";
    /// No packet reaches the callee: a connection cannot be made, or the network refuses it.
    CalleeUnreachable = "callee.unreachable", 480 "" HIDDEN, "Check the address, port and transport of the callee and firewalls between.";
    /// The callee wants credentials, which the caller is not to be asked for.
    CalleeAsksCredentials = "callee.asks-credentials", 403 "Callee Asks for Credentials" HIDDEN, "Switch authentication of calls off in the phone or server, or set routing.passChallenges.";
    /// The callee's answer cannot be passed on, so the exchange answers in its place.
    CalleeBadResponse = "callee.bad-response", 500 "" HIDDEN, "Set log.level: trace and look at the answer: a header is missing or cannot be read.";
    /// The callee refused the call.
    CalleeRejected = "callee.rejected", 486 "" HIDDEN, "See the SIP status: 486 is busy, 603 declined, 488 no common codec.";
    /// The exchange itself was called.
    CalleeExchange = "callee.exchange", 404 "" PUBLIC, "Call a user or number; the exchange has no phone of its own.";

    /// The caller gave up before somebody answered.
    CallCancelled = "call.cancelled", 487 "" PUBLIC, "Nothing.";
    /// An operator ended the call (trunkline calls hangup).
    CallHungUp = "call.hung-up", 500 "Ended by Operator" PUBLIC, "Nothing; ask the operator who ended it.";
    /// The exchange ended an answered call: From, To, Contact and Record-Route of one side are longer than the 4 KB that it keeps of each side for the BYE.
    CallLongNames = "call.long-names", 502 "" HIDDEN, "Shorten From, To, Contact or Record-Route in the client or server that sent them.";
    /// The caller gave up while the request waited for DNS or the media relay.
    CallCancelledEarly = "call.cancelled-early", 487 "" PUBLIC, "If it happens often, check the resolver (dns) and rtpengine.";

    /// The CANCEL comes from another party than its INVITE.
    CancelForeign = "cancel.foreign", 481 "" PUBLIC, "Send CANCEL from where the INVITE was sent.";
    /// Nothing waits that the CANCEL could end.
    CancelNothing = "cancel.nothing", 481 "" PUBLIC, "Nothing; the call was answered at the same moment.";
    /// Without transactions (stateless): no INVITE of this CANCEL went through.
    CancelStateless = "cancel.stateless", 481 "" PUBLIC, "Nothing; its INVITE was refused.";

    /// The dialog has ended, or is not known after a restart.
    DialogEnded = "dialog.ended", 481 "" PUBLIC, "Nothing; the call is over. After a restart see routing.dialogSeconds.";
    /// The request inside the dialog names another target than the dialog's.
    DialogOtherTarget = "dialog.other-target", 481 "" PUBLIC, "Send it to the Contact of the other side; somebody may try to abuse the dialog.";
    /// The Route header has the mark of another dialog, which its sender does not take part in.
    DialogForeignMark = "dialog.foreign-mark", 481 "" PUBLIC, "Nothing; somebody tries to abuse a dialog that was overheard.";
    /// The Route header has a mark that the exchange did not write.
    DialogFalseMark = "dialog.false-mark", 481 "" PUBLIC, "Nothing; a client or attacker changed the Route header, or the secret of the exchange was replaced.";
    /// The dialog has no room for the request, or has just ended.
    DialogFull = "dialog.full", 481 "" PUBLIC, "Nothing; the call is over.";
    /// The last Route value cannot be read.
    DialogRoute = "dialog.malformed-route", 400 "Malformed Route" PUBLIC, "Correct the client.";
    /// The account that began the dialog was deleted.
    DialogAccountUnknown = "dialog.account-unknown", 403 "Account Unknown" PUBLIC, "Create the agent again, or let it call again.";
    /// The account that began the dialog has no credentials any more.
    DialogAccountWithoutCredentials = "dialog.account-without-credentials", 403 "Account Without Credentials" PUBLIC, "Set credentialsRef of the agent.";
    /// The credentials inside the dialog were made for another Request-URI.
    DialogDigestUri = "dialog.digest-uri", 403 "Digest URI Differs From Request-URI" PUBLIC, "Correct the phone or the proxy before it, or set digestUri: off.";
    /// An agent sends from another address than before and must authenticate.
    DialogAuth = "dialog.auth", 407 "" PUBLIC, "Nothing if the phone then authenticates; otherwise check its password.";
    /// A carrier, peer or stranger sends from another address than its own.
    DialogElsewhere = "dialog.elsewhere", 403 "Not Where the Dialog Is" PUBLIC, "Add the address to the access control list of the trunk or peer, or set routing.dialogsFromAnywhere.";
    /// The other side of the dialog wants TLS all the way and has no such way.
    DialogInsecure = "dialog.insecure", 480 "" PUBLIC, "Register it over TLS or WSS.";
    /// There is no way to the other side of the dialog any more.
    DialogUnreachable = "dialog.unreachable", 480 "" PUBLIC, "The connection of the phone ended: check its network and the keep-alive interval.";
    /// The Request-URI has parameters that the carrier may not see, and strict routing hides them.
    DialogHiddenParameters = "dialog.hidden-parameters", 403 "Parameters Not Allowed" PUBLIC, "Use a client with loose routing (;lr), or allow the parameters in the trunk.";
    /// The media of a request inside the dialog cannot be relayed.
    DialogMedia = "dialog.media", 488 "" PUBLIC, "See media.refused.";
    /// A request that belongs to a dialog was sent to the exchange itself.
    DialogNone = "dialog.none", 481 "" PUBLIC, "Send it along the dialog's Route.";
    /// The request has a To tag, so it belongs to a dialog, and no Route of a dialog that the exchange knows.
    DialogNoRoute = "dialog.no-route", 481 "" PUBLIC, "Let the client send the Route that it got in Record-Route; one that begins a dialog sends no To tag.";

    /// Another domain's phones take calls and messages from here, and what is part of a call; nothing else.
    DomainCallsOnly = "domain.calls-only", 403 "Calls and Messages Only" PUBLIC, "Set interDomain: open for the called domain, if others may command its phones.";
    /// The same inside a dialog with a phone of another domain.
    DomainCallsOnlyInside = "domain.calls-only-inside", 403 "Calls and Messages Only" PUBLIC, "Set interDomain: open for the other domain, if others may command its phones.";
    /// The agents or peers are of domains that are kept apart (interDomain: isolated).
    DomainIsolated = "domain.isolated", 403 "" HIDDEN, "Set interDomain: authenticated or open in both domains, if they may call each other.";
    /// A diverted call leads to a domain that is kept apart.
    DomainIsolatedDiversion = "domain.isolated-diversion", 480 "" HIDDEN, "Set interDomain in both domains, or change the fallback of the agent.";

    /// The request went in a circle.
    LoopDetected = "loop.detected", 482 "" PUBLIC, "Find in trunkline explain which target leads back to the exchange.";
    /// A target leads to the exchange itself and cannot be routed there.
    LoopInside = "loop.inside", 482 "" HIDDEN, "Find in trunkline explain which Contact or address leads to the exchange.";
    /// Targets lead back to the exchange too often, or too deep.
    LoopDepth = "loop.depth", 482 "" HIDDEN, "Shorten the chain of diversions.";
    /// A chain of targets leads back to a name that was called before.
    LoopCircle = "loop.circle", 482 "" HIDDEN, "Find in trunkline explain which diversion leads back.";
    /// The request came back too often through another server.
    LoopSpiral = "loop.spiral", 482 "" PUBLIC, "Find in trunkline explain which target leads back to the exchange.";
    /// More branches are needed than Max-Breadth allows (RFC 5393 section 5).
    LoopBreadth = "loop.breadth", 440 "" PUBLIC, "Register fewer phones for one name, or raise Max-Breadth in the client.";
    /// Max-Forwards is 0.
    LoopMaxForwards = "loop.max-forwards", 483 "" PUBLIC, "Find the circle between the servers, or raise Max-Forwards in the client.";
    /// Max-Forwards of a CANCEL or ACK is 0.
    LoopMaxForwardsStateless = "loop.max-forwards-stateless", 483 "" PUBLIC, "Find the circle between the servers.";

    /// The media of the call cannot be relayed: rtpengine refuses it or does not answer, or a browser calls a phone without it.
    MediaRefused = "media.refused", 488 "" PUBLIC, "Start rtpengine and set its address (key rtpengine); see its log for the Call-ID.";

    /// The called user begins like a telephone number and is none.
    NumberMisshapen = "number.misshapen", 404 "" HIDDEN, "Call a complete number: a plus and up to 15 digits, or the digits of an internal number.";
    /// The called number is linked to nothing.
    NumberWithoutLink = "number.without-link", 404 "" HIDDEN, "Set aorLink of the number (trunkline numbers).";
    /// The called number belongs to another trunk than the one that the call came by.
    NumberOtherTrunk = "number.other-trunk", 403 "" HIDDEN, "Set trunkRef of the number to the trunk that its carrier uses.";
    /// No number has the called digits on this trunk.
    NumberUnknown = "number.unknown", 404 "" HIDDEN, "Create the number (trunkline numbers).";
    /// The number that the call goes out by has no trunk.
    NumberWithoutTrunk = "number.without-trunk", 503 "" HIDDEN, "Set trunkRef of the number.";

    /// More new requests arrive than the machine can carry.
    OverloadShed = "overload.shed", 503 "Overloaded" PUBLIC, "Add cores or machines; see docs for the limits of a source.";
    /// Too many messages wait between the shards.
    OverloadShards = "overload.shards", 503 "" PUBLIC, "Add cores or machines.";
    /// The table of transactions or of waiting requests is full.
    OverloadFull = "overload.full", 503 "" PUBLIC, "Check who sends so many requests (trunkline status); raise limits.transactionBytes.";
    /// One account, peer, trunk or unknown source holds its whole share of the memory for transactions.
    OverloadShare = "overload.share", 503 "" PUBLIC, "Check why it has so many requests open (trunkline calls); raise limits.accountPercent.";
    /// The table of dialogs is full.
    OverloadDialogs = "overload.dialogs", 503 "" PUBLIC, "Check who makes so many calls (trunkline calls).";
    /// One account, peer or trunk, or all unknown callers together, have begun as many dialogs as one may (limits.accountPercent of 4 million).
    OverloadDialogShare = "overload.dialog-share", 503 "" PUBLIC, "Check why it has so many calls up (trunkline calls); raise limits.accountPercent.";

    /// Calls that are up hold all the memory that calls may have.
    OverloadCalls = "overload.calls", 503 "" PUBLIC, "Check who makes so many calls (trunkline calls); raise limits.callBytes.";
    /// The calls of one account, peer, trunk or unknown source, or of all unknown sources together, hold their whole share of the memory for calls.
    OverloadCallShare = "overload.call-share", 503 "" PUBLIC, "Check why it has so many calls up (trunkline calls); raise limits.callBytes or limits.accountPercent.";
    /// A re-INVITE or UPDATE has a Contact for which its caller has no memory left: its share of the memory for calls is used up.
    OverloadContact = "overload.contact", 503 "" PUBLIC, "Use a shorter Contact; check why the caller has so many calls up (trunkline calls).";

    /// The caller has as many calls as it may, at once or in a minute.
    LimitCaller = "limit.caller", 403 "Too Many Calls" HIDDEN, "Raise maxCalls or maxCallsPerMinute of the agent or peer, or end a call.";
    /// The caller's domain has as many calls as it may, at once or in a minute.
    LimitDomain = "limit.domain", 403 "Too Many Calls" HIDDEN, "Raise maxCalls or maxCallsPerMinute of the domain, or end a call.";
    /// The callee or its domain has as many calls as it may, at once or in a minute.
    LimitCallee = "limit.callee", 486 "" HIDDEN, "Raise maxCalls or maxCallsPerMinute of the callee or its domain, or set fallback.busy.";
    /// Each trunk that could take the call has as many calls as it may, at once or in a minute.
    LimitTrunk = "limit.trunk", 503 "No Line Free" HIDDEN, "Raise maxCalls or maxCallsPerMinute of the trunk, or add a trunk.";
    /// The trunk that the call comes from has as many calls as it may, at once or in a minute.
    LimitCarrier = "limit.carrier", 503 "Too Many Calls" HIDDEN, "Raise maxCalls or maxCallsPerMinute of the trunk.";

    /// A peer calls out without X-DOD-Number.
    PeerNoNumber = "peer.no-number", 400 "Missing or empty 'X-DOD-Number' header required for peer-to-pstn routing" HIDDEN, "Send the header X-DOD-Number with a number of the peer's domain.";
    /// X-DOD-Number names no number that this peer may use.
    PeerUnknownNumber = "peer.unknown-number", 404 "No Number found for X-DOD-Number" HIDDEN, "Create the number, or use one of the peer's own domain.";

    /// The REGISTER names a domain that is not ours.
    RegisterUnknownDomain = "register.unknown-domain", 404 "" PUBLIC, "Set the domain in the phone, or create it (trunkline domains).";
    /// The REGISTER names no user in To.
    RegisterNoUser = "register.no-user", 404 "" PUBLIC, "Set the user name in the phone.";
    /// To names another domain than the Request-URI.
    RegisterOtherDomain = "register.other-domain", 404 "" PUBLIC, "Set the same domain for registrar and user in the phone.";
    /// Nothing with the name exists that could register, and the domain asks for no password.
    RegisterUnknownUser = "register.unknown-user", 404 "" HIDDEN, "Create the agent or peer.";
    /// Nothing with the name can register.
    RegisterNoAccount = "register.no-account", 404 "" HIDDEN, "Create an agent or peer with the name.";
    /// From and To differ, and third-party registration is not allowed.
    RegisterThirdParty = "register.third-party", 403 "" HIDDEN, "Set the same user in From and To, or set registrar.thirdParty.";
    /// As before, by a caller with the right password.
    RegisterThirdPartyProven = "register.third-party-proven", 403 "" HIDDEN, "Set the same user in From and To, or set registrar.thirdParty.";
    /// A REGISTER whose Request-URI leads elsewhere.
    RegisterForward = "register.forward", 403 "" PUBLIC, "Send REGISTER to the host of the domain without a user.";
    /// A request other than REGISTER was to be registered.
    RegisterOther = "register.other-method", 404 "" PUBLIC, "Report it with trunkline explain: this cannot happen.";
    /// A target leads to the exchange as if it were to be registered.
    RegisterInside = "register.inside", 404 "" HIDDEN, "Correct the Contact of the callee.";
    /// To is no SIP URI.
    RegisterNoSipUri = "register.no-sip-uri", 400 "To Is No SIP URI" PUBLIC, "Register a sip: or sips: address.";
    /// A header of the REGISTER cannot be read.
    RegisterMalformed = "register.malformed", 400 "" PUBLIC, "Correct the phone; the reason phrase names the header.";
    /// Expires is shorter than the least that the exchange grants.
    RegisterTooBrief = "register.too-brief", 423 "" PUBLIC, "Nothing; the phone tries again with Min-Expires. Or lower registrar.minExpires.";
    /// Contact: * stands beside others, or without Expires: 0.
    RegisterBadWildcard = "register.bad-wildcard", 400 "Wildcard Only Alone and With Expires 0" PUBLIC, "Correct the phone.";
    /// More contacts than the account may have.
    RegisterTooMany = "register.too-many", 403 "Too Many Contacts" PUBLIC, "Raise maxContacts, or remove old ones (trunkline registrations).";
    /// A contact with reg-id stands beside others (RFC 5626 section 6).
    RegisterNotAlone = "register.not-alone", 400 "reg-id Stands Alone" PUBLIC, "Correct the phone.";
    /// The proxy before us does not keep flows (RFC 5626 section 6).
    RegisterFirstHop = "register.first-hop", 439 "First Hop Lacks Outbound Support" PUBLIC, "Let the proxy add Path with ;ob, or switch outbound off in the phone.";
    /// A contact leads where its owner may have nothing sent.
    RegisterForbiddenContact = "register.forbidden-contact", 403 "" PUBLIC, "See docs/security.md: contacts may not lead to the exchange, loopback, carriers or peers.";
    /// The bindings cannot be stored now.
    RegisterUnavailable = "register.unavailable", 503 "Bindings Cannot Be Stored Now" PUBLIC, "Check disk and database (trunkline status).";
    /// An older REGISTER of the same Call-ID.
    RegisterOutOfOrder = "register.out-of-order", 500 "CSeq Out of Order" PUBLIC, "Nothing; a late packet.";
    /// The address of record is empty, or a text is too long.
    RegisterUnstorable = "register.unstorable", 400 "" PUBLIC, "Shorten Contact, Path or user name.";

    /// The request cannot be read; the reason phrase says what.
    RequestMalformed = "request.malformed", 400 "" PUBLIC, "Correct the client.";
    /// The request is longer than the limit.
    RequestTooLarge = "request.too-large", 513 "" PUBLIC, "Send less, or raise limits.messageSize.";
    /// Another SIP version than 2.0.
    RequestVersion = "request.version", 505 "" PUBLIC, "Correct the client.";
    /// A header that routing needs cannot be read.
    RequestUndecidable = "request.undecidable", 400 "" PUBLIC, "Correct the client; the reason phrase names the header.";
    /// As before, where a target leads back to the exchange.
    RequestInside = "request.undecidable-inside", 400 "" HIDDEN, "Correct the Contact of the callee.";
    /// The branch of Via identifies no transaction.
    RequestBranch = "request.branch", 400 "Branch Without Identity" PUBLIC, "Correct the client: the branch needs characters after z9hG4bK.";
    /// A Route value cannot be read.
    RequestRoute = "request.malformed-route", 400 "Malformed Route" PUBLIC, "Correct the client.";
    /// The request requires an extension of the exchange as proxy (Proxy-Require) or server (Require) that it does not have.
    RequestExtension = "request.extension", 420 "" PUBLIC, "Switch the extension named in Unsupported off in the client.";
    /// The CSeq is so high that no later request of the dialog could have a higher one below 2^31 (RFC 3261 §8.1.1.5).
    RequestCseq = "request.cseq", 400 "CSeq Too High" PUBLIC, "Let the client begin a new dialog, with a lower CSeq.";
    /// Request-URI, From, To, Call-ID, Contact and Record-Route of an INVITE may have at most 3,072 bytes together, its head at most 48 KB, and the Contact of a re-INVITE or UPDATE at most 4 KB: the exchange keeps them for the BYE by which it can end the call.
    RequestLongNames = "request.long-names", 513 "URI, From, To, Call-ID, Contact or Record-Route Too Long" PUBLIC, "Shorten these headers in the client.";
    /// A method that the exchange does not know was sent to itself.
    RequestMethod = "request.method", 405 "" PUBLIC, "See Allow in the answer.";

    /// No egress policy of the domain matches the called number.
    RouteNoPolicy = "route.no-policy", 404 "" HIDDEN, "Add an egress policy to the domain whose rule matches the number (trunkline domains).";

    /// The exchange takes no new calls: it is shutting down, or an operator drains it.
    ServerDraining = "server.draining", 503 "Draining" PUBLIC, "Wait until it has started again, or end the draining with trunkline drain --undo.";
    /// The rules could not be asked.
    ServerRules = "server.rules", 500 "" PUBLIC, "Report it with trunkline explain: this cannot happen.";
    /// A question of the rules was not answered.
    ServerUnanswered = "server.unanswered", 500 "" PUBLIC, "Report it with trunkline explain: this cannot happen.";

    /// The resources or bindings cannot be read now.
    StoreUnavailable = "store.unavailable", 503 "" PUBLIC, "Check the store (trunkline status).";

    /// An agent subscribes to itself or publishes its own state, which the exchange does not keep.
    SubscribeSelf = "subscribe.self", 489 "" HIDDEN, "Switch presence and message waiting off in the phone.";

    /// A caller that has proven nothing asks a phone to call somebody else.
    TransferStranger = "transfer.stranger", 403 "Transfer Not Allowed" PUBLIC, "Set routing.strangersMayRefer if strangers may transfer calls.";

    /// A REFER asks a carrier to call a number that its sender may not call itself.
    TransferNumber = "transfer.number", 403 "Transfer Not Allowed" HIDDEN, "Add an egress policy to the domain whose rule matches the number in Refer-To (trunkline domains).";
    /// The phone of another domain would call out at that domain's expense.
    TransferDomain = "transfer.domain", 403 "Transfer Not Allowed" HIDDEN, "Transfer to an agent or peer, or set interDomain: open for the domain of the phone that is to call.";
    /// The agent or peer that transfers a call is disabled or deleted.
    TransferDisabled = "transfer.disabled", 403 "" HIDDEN, "Enable it (trunkline agents or trunkline peers), or end its calls (trunkline calls hangup).";
    /// A REFER names several targets (RFC 3515 §2.4.2).
    TransferTargets = "transfer.targets", 400 "One Refer-To Only" PUBLIC, "Send one REFER for each target.";

    /// A REFER goes on to another callee, and who sent it has not authenticated.
    TransferUnproven = "transfer.unproven", 403 "" HIDDEN, "Let the caller authenticate first, or set routing.strangersMayRefer.";

    /// The trunk by which the call came no longer exists.
    TrunkGone = "trunk.gone", 404 "" HIDDEN, "Create the trunk again.";
    /// Somebody calls a number of a trunk whose name no name server has resolved since the start, so that nobody knows whether it is the carrier.
    TrunkUnresolved = "trunk.unresolved", 503 "" HIDDEN, "Check the resolver (dns) and the names of the trunk (trunkline status), or give it an access list with the addresses of the carrier (--acl).";
    /// Egress policies match, but no trunk has an enabled address.
    TrunkNoDestination = "trunk.no-destination", 503 "" HIDDEN, "Enable an address of the trunk, and check that the number and trunk of the policy exist.";
    /// The carrier refuses the credentials of the trunk.
    TrunkRejectedCredentials = "trunk.rejected-our-credentials", 403 "Trunk Credentials Refused" HIDDEN, "Correct the credentials that the trunk sends (outbound credentials of the trunk).";
    /// The carrier wants credentials, and the trunk has none.
    TrunkAsksCredentials = "trunk.asks-credentials", 403 "Carrier Asks for Credentials" HIDDEN, "Give the trunk outbound credentials.";
    /// The carrier did not answer.
    TrunkSilent = "trunk.silent", 408 "" HIDDEN, "Check address, port and transport of the trunk, firewalls, and whether the carrier knows our address.";
    /// The carrier cannot be reached: no address, no connection, or the network refuses it.
    TrunkUnreachable = "trunk.unreachable", 500 "" HIDDEN, "Check address, port and transport of the trunk and the resolver (trunkline status).";
    /// The address of the trunk may not be used, or its name cannot be resolved.
    TrunkNoWay = "trunk.no-way", 500 "" HIDDEN, "Check the addresses of the trunk and the resolver (trunkline status); see docs/security.md for addresses that are never used.";
    /// It rang at the carrier and nobody answered in time.
    TrunkNoAnswer = "trunk.no-answer", 408 "" HIDDEN, "Nothing; the called party did not answer.";
    /// The carrier's answer cannot be passed on, so the exchange answers in its place.
    TrunkBadResponse = "trunk.bad-response", 500 "" HIDDEN, "Set log.level: trace and look at the answer: a header is missing or cannot be read.";
    /// The carrier refused the call.
    TrunkRejected = "trunk.rejected", 403 "" HIDDEN, "See the SIP status and Reason of the carrier: 403 is often the caller's number or the account, 404 the called number.";

    /// The scheme of the Request-URI is not sip, sips or tel.
    UriScheme = "uri.scheme", 416 "" PUBLIC, "Call a sip:, sips: or tel: address.";
    /// The scheme of the Request-URI is unknown.
    UriUnknownScheme = "uri.unknown-scheme", 416 "" PUBLIC, "Call a sip:, sips: or tel: address.";
    /// The rules cannot route by the scheme.
    UriUnroutable = "uri.unroutable", 416 "" PUBLIC, "Call a sip:, sips: or tel: address.";
    /// The Request-URI has header fields (RFC 3261 section 19.1.1).
    UriHeaders = "uri.headers", 400 "Header Fields in Request-URI" PUBLIC, "Remove the part after the question mark.";
    /// The Request-URI cannot be read.
    UriMalformed = "uri.malformed", 400 "Malformed Request-URI" PUBLIC, "Correct the called address.";
    /// A target that leads back to the exchange cannot be read.
    UriInside = "uri.inside", 400 "" HIDDEN, "Correct the Contact of the callee.";

    /// The name that the request goes to was not resolved in time.
    WaitDns = "wait.dns", 504 "" HIDDEN, "Check the resolver (dns) and the name of the trunk, peer or Contact.";
    /// DNS or the media relay did not answer before the client would give up.
    WaitTooLong = "wait.too-long", 504 "" HIDDEN, "Check the resolver (dns) and rtpengine.";
}
