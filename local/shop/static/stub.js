window.refledger ||= (...call) => (refledger.q ||= []).push(call);
