import sys; sys.path.insert(0,'/work/main/glue-scripts/tests')
from test_drafts import *
def test_dbg(deleted_by_hand):
    steps=deleted_by_hand
    def show(w):
        l=steps.lake.load(STEPS.table); s=l.current_snapshot()
        print(w, s.summary.operation, {k:v for k,v in s.summary.additional_properties.items() if 'delete' in k or 'records' in k})
        for m in s.manifests(l.io):
            print('  ', m.content, m.manifest_path[-30:], [(e.status, e.data_file.content, e.data_file.file_path[-20:], e.sequence_number, e.data_file.record_count) for e in m.fetch_manifest_entry(l.io, discard_deleted=False)])
    show('deleted')
    steps.make_equal((3, "a", 30), (4, "a", 40)); show('insert')
    drafts.rearrange(steps.engine, steps.lake.tables, STEPS); show('compact')
    print(content(steps))
    assert 0
