from tests.builders.stripe_bodies import a_session, an_invoice, a_refund
from tests.builders.world import World, day, token

def test_link(tmp_path):
    w = World(tmp_path)
    k = w.click(token("ann"), "ann")
    r = w.tell("checkout.session.completed", a_session(client_reference_id=token("ann"), customer=None), created=day(1))
    assert r.state == "handled", r
    print(w.trace("cs_test_1"))
    assert w.balance("ann") == (980, 0, 0)
    w.at(day(32)); assert w.mature() == 1
    assert w.balance("ann") == (0, 980, 0)
    assert w.stream(k) == 1
    w.pay("p1", "ann", 980)
    w.tell("refund.created", a_refund(amount=4900), created=day(33))
    assert w.balance("ann") == (0, -980, 980)
    assert w.works() == []
