//! The certificate that a trunk is shown over TLS. It is part of the name that a connection is made for, so that no connection that
//! shows it, or another one, is used for anybody else.

use trunkline_model::Trunk;
use trunkline_proxy::PartyKind;
use trunkline_sip::Transport;
use trunkline_transport::Egress;

use crate::context::Hop;
use crate::shared::Shared;
use crate::trust::Word;

/// The way to this trunk, over a connection that shows the trunk's certificate.
pub(crate) fn shown_to(trunk: &Trunk, egress: Egress) -> Egress {
    let files = trunk.client_certificate.as_ref().filter(|_| egress.transport == Transport::Tls);
    let name = files.map(|f| egress.name.shown_as(&format!("{}\n{}", f.certificate, f.key)));
    Egress { name: name.unwrap_or(egress.name), ..egress }
}

impl Shared {
    /// The same, of the trunk of this ref.
    pub(crate) fn shown_to(&self, trunk: &str, egress: Egress) -> Egress {
        if egress.transport != Transport::Tls {
            return egress;
        }
        self.tables.load().trunk_by_ref(trunk).map_or(egress, |trunk| shown_to(trunk, egress))
    }

    /// The same, of the party by whose word it is the way.
    pub(crate) fn shown_by_word(&self, word: &Word, egress: Egress) -> Egress {
        if egress.transport != Transport::Tls || word.kind != PartyKind::Trunk {
            return egress;
        }
        let tables = self.tables.load();
        let trunk = self.party_names.trunk(&tables, self.tables.version(), &self.secret, word.party);
        let trunk = trunk.and_then(|trunk| tables.trunk_by_ref(trunk.as_str()));
        trunk.map_or(egress, |trunk| shown_to(trunk, egress))
    }

    /// The same, of whoever a branch's request goes to.
    pub(crate) fn shown_at(&self, hop: &Hop, egress: Egress) -> Egress {
        match (&hop.trunk, &hop.word) {
            (Some(trunk), _) => self.shown_to(trunk.as_str(), egress),
            (None, Some(word)) => self.shown_by_word(word, egress),
            (None, None) => egress,
        }
    }
}
