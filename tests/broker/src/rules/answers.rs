//! What is answered, and how.

use mqtt_sessions::packet::{Ack, AckKind, Connack, Packet, Protocol, Publish, Suback};

use super::super::topics;
use super::{Defect, Rules};

/// How many packets a broker takes that freezes or dies in the middle.
const MIDDLE: usize = 40;
/// A Packet Identifier that no client comes to.
const OF_NOBODY: u16 = 60_000;

impl Rules {
    /// 5.0 3.2.2-9 and section 3.2.2.3.5: the reason to refuse a PUBLISH, which CONNACK announced. 3.1.1 knows no
    /// better answer than to close the connection.
    pub fn refuses(&self, publish: &Publish) -> Option<u8> {
        match publish {
            // 5.0 3.3.4-6: only servers send them.
            publish if !publish.properties.subscription_ids.is_empty() => Some(0x82),
            publish if !topics::is_topic(&publish.topic) => Some(0x90),
            publish if publish.qos > self.choices.maximum_qos => Some(0x9b),
            publish if publish.retain && !self.choices.retain_available => Some(0x9a),
            _ => None,
        }
    }

    /// 5.0, sections 3.4.2.1 and 3.5.2.1: 0x10 MAY tell that there are no matching subscribers.
    pub fn accepted(&self, protocol: Protocol, matched: bool) -> u8 {
        if protocol == Protocol::V5 && !matched && self.choices.tell_no_subscribers { 0x10 } else { 0 }
    }

    /// 5.0 3.14.4-2: after DISCONNECT the connection is closed.
    pub fn closes_after_disconnect(&self) -> bool {
        !self.lies(Defect::OpenAfterDisconnect)
    }

    /// Whether a client of 5.0 is refused in the shape of 5.0, and not in that of 3.1.1.
    pub fn speaks_v5_to_refuse(&self) -> bool {
        self.lies(Defect::OpenAfterRefusalV5) || self.lies(Defect::SessionPresentWithRefusalV5)
    }

    /// 5.0 3.2.2-16: each client without an identifier gets one of its own.
    pub fn assigns_one_id(&self) -> bool {
        self.lies(Defect::AssignedIdOfAnother)
    }

    /// 3.2.2-5, 3.2.2-7: a connection that was refused is closed.
    pub fn closes_after_refusal(&self, protocol: Protocol) -> bool {
        !self.lies(match protocol {
            Protocol::V3 => Defect::OpenAfterRefusalV3,
            Protocol::V5 => Defect::OpenAfterRefusalV5,
        })
    }

    /// 3.2.2-4, 3.2.2-6: a refusal says Session Present 0.
    pub fn session_present_of_refusal(&self, protocol: Protocol) -> bool {
        self.lies(match protocol {
            Protocol::V3 => Defect::SessionPresentWithRefusalV3,
            Protocol::V5 => Defect::SessionPresentWithRefusalV5,
        })
    }

    /// 4.3.3-2, 4.3.3-10: until the PUBREL a PUBLISH with the same identifier is the same message.
    pub fn takes_for_new(&self, known: bool) -> bool {
        !known || self.lies(Defect::Qos2OnwardTwice)
    }

    /// 3.2.0-1: CONNACK is the first packet.
    pub fn connack_first(&self) -> bool {
        !self.lies(Defect::PublishBeforeConnack)
    }

    /// 3.1.4-4, 5.0 3.1.4-5: a CONNECT is answered, also one that resumes a session.
    pub fn answers_connect(&self, resumes: bool) -> bool {
        !(resumes && self.lies(Defect::NoConnackOnResume))
    }

    /// 4.3.3-2, 4.3.3-11: a PUBREL that is sent again is answered like the first.
    pub fn closes_on_repeated_pubrel(&self) -> bool {
        self.lies(Defect::ClosesOnRepeatedPubrel)
    }

    /// 5.0 4.3.3-10: a PUBLISH that is sent again before its PUBREL is answered by PUBREC, and not refused.
    pub fn answer_to_repetition(&self, protocol: Protocol) -> u8 {
        if protocol == Protocol::V5 && self.lies(Defect::Pubrec0x91OnRepetition) { 0x91 } else { 0 }
    }

    /// 3.8.4-1: a SUBSCRIBE is answered, whatever it finds.
    pub fn closes_on_retained(&self, qos: u8) -> bool {
        qos == 2 && self.lies(Defect::ClosesOnRetainedQos2)
    }

    /// 5.0 3.1.4-3: DISCONNECT may tell a client why it is closed. In 3.1.1 only clients send it (section 3.14).
    pub fn sends_disconnect(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::V3 => self.lies(Defect::DisconnectToV3),
            Protocol::V5 => self.choices.takeover_disconnect,
        }
    }

    /// True if the broker has fallen silent, after so many packets.
    pub fn is_frozen(&self, packets: usize) -> bool {
        packets > MIDDLE && self.lies(Defect::Freezes)
    }

    /// True if the broker is gone, after so many packets.
    pub fn is_dead(&self, packets: usize) -> bool {
        packets > MIDDLE && self.lies(Defect::Dies)
    }

    /// What goes out in the place of a packet: itself. `None` closes the connection instead.
    pub fn spoken(&self, packet: Packet) -> Option<Vec<Packet>> {
        let Some(defect) = self.defect else { return Some(vec![packet]) };
        match (defect, packet) {
            (Defect::ClosesOnSubscribe, Packet::Suback(_)) => None,
            (Defect::ClosesOnPublish, Packet::Ack(ack)) if ack.kind == AckKind::Puback => None,
            (Defect::NoPuback, Packet::Ack(ack)) if ack.kind == AckKind::Puback => Some(vec![]),
            (Defect::NoPubrec, Packet::Ack(ack)) if ack.kind == AckKind::Pubrec => Some(vec![]),
            (Defect::NoPubcomp, Packet::Ack(ack)) if ack.kind == AckKind::Pubcomp => Some(vec![]),
            (Defect::NoPingresp, Packet::Pingresp) | (Defect::NeverDelivers, Packet::Publish(_)) => Some(vec![]),
            (Defect::SilentAfterConnack, packet) if !matches!(packet, Packet::Connack(_)) => Some(vec![]),
            (Defect::NoPubrel, Packet::Ack(ack)) if ack.kind == AckKind::Pubrel => Some(vec![]),
            (Defect::NoSuback, Packet::Suback(_)) | (Defect::NoUnsuback, Packet::Unsuback(_)) => Some(vec![]),
            (Defect::AckWrongId, Packet::Ack(mut ack)) if matches!(ack.kind, AckKind::Puback | AckKind::Pubrec) => {
                ack.id = ack.id.wrapping_add(100).max(1);
                Some(vec![Packet::Ack(ack)])
            }
            (Defect::SubackReversed, Packet::Suback(mut suback)) => {
                suback.codes.reverse();
                Some(vec![Packet::Suback(suback)])
            }
            (Defect::SubackTellsMore, Packet::Suback(mut suback)) => {
                suback.codes.iter_mut().filter(|code| **code < 2).for_each(|code| *code += 1);
                Some(vec![Packet::Suback(suback)])
            }
            (Defect::SubackLacksCodes, Packet::Suback(mut suback)) => {
                suback.codes.truncate(1);
                Some(vec![Packet::Suback(suback)])
            }
            (Defect::NoAssignedId, Packet::Connack(connack)) => {
                Some(vec![Packet::Connack(Connack { assigned_client_id: None, ..connack })])
            }
            (Defect::SessionExpiryInDisconnect, Packet::Disconnect { reason: reason @ 0x8e, .. }) => {
                Some(vec![Packet::Disconnect { reason, session_expiry: Some(60) }])
            }
            (Defect::SpeaksAfterDisconnect, packet @ Packet::Disconnect { .. }) => Some(vec![packet, Packet::Pingresp]),
            (Defect::PubrelBeforePubrec, Packet::Publish(publish)) if publish.qos == 2 && !publish.dup => {
                let id = publish.id;
                Some(vec![Packet::Publish(publish), Packet::ack(AckKind::Pubrel, id)])
            }
            (Defect::SecondConnack, packet @ Packet::Suback(_)) => {
                Some(vec![packet, Packet::Connack(Connack::default())])
            }
            (Defect::UnaskedAuth, packet @ Packet::Suback(_)) => Some(vec![packet, Packet::Auth { reason: 0x18 }]),
            (Defect::NamesAnAuthenticationMethod, Packet::Connack(connack)) => {
                let authentication_method = connack.session_present.then(|| "SCRAM-SHA-1".into());
                Some(vec![Packet::Connack(Connack { authentication_method, ..connack })])
            }
            (Defect::SubackWrongId, Packet::Suback(mut suback)) => {
                suback.id = suback.id.wrapping_add(1).max(1);
                Some(vec![Packet::Suback(suback)])
            }
            (Defect::ReservedReasonCodes, Packet::Ack(ack)) => Some(vec![Packet::Ack(Ack { reason: 1, ..ack })]),
            (Defect::ReservedReasonCodes, Packet::Unsuback(mut unsuback)) => {
                unsuback.codes.fill(1);
                Some(vec![Packet::Unsuback(unsuback)])
            }
            (Defect::ReservedReasonCodes, Packet::Disconnect { .. }) => Some(vec![Packet::disconnect(0x77)]),
            (Defect::SubackGrantsQos3, Packet::Suback(mut suback)) => {
                suback.codes.iter_mut().filter(|code| **code == 2).for_each(|code| *code = 3);
                Some(vec![Packet::Suback(suback)])
            }
            (Defect::StrayAnswers, Packet::Ack(ack)) if matches!(ack.kind, AckKind::Puback | AckKind::Pubrec) => {
                Some(vec![Packet::Ack(ack), Packet::ack(ack.kind, OF_NOBODY)])
            }
            (Defect::StrayAnswers, Packet::Suback(suback)) => {
                let stray = Suback { id: OF_NOBODY, ..suback.clone() };
                Some(vec![Packet::Suback(suback), Packet::Suback(stray)])
            }
            (Defect::PubcompBeforePubrel, Packet::Ack(ack)) if ack.kind == AckKind::Pubrec => {
                Some(vec![Packet::ack(AckKind::Pubcomp, ack.id), Packet::Ack(ack)])
            }
            (Defect::UnsolicitedMessages, Packet::Publish(publish)) => {
                let topic = "nobody/subscribed/to/this".to_owned();
                let foreign = Publish {
                    topic,
                    qos: 0,
                    id: 0,
                    dup: false,
                    retain: false,
                    payload: publish.payload.clone(),
                    ..Publish::default()
                };
                Some(vec![Packet::Publish(publish), Packet::Publish(foreign)])
            }
            (_, packet) => Some(vec![packet]),
        }
    }
}
