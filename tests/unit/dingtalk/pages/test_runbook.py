"""The runbooks as pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from dingtalk.pages.runbook import runbook_html
from tests.unit.dingtalk.pages.site import site

RUNBOOKS = Path(__file__).parents[4] / "docs" / "runbooks"


def html(text, *known):
    return str(runbook_html(text, known=lambda name: name in known)).strip()


def test_code_stays_as_it_is():
    """Somebody copies it into a shell."""
    assert html("```bash\ncurl -s 'http://x/?a=1&b=<2>'\n```") == (
        "<pre><code class=\"language-bash\">curl -s 'http://x/?a=1&amp;b=&lt;2&gt;'\n</code></pre>"
    )


@pytest.mark.parametrize("address", ["Timeouts.md", "./Timeouts.md", "Timeouts.md#怎么办"])
def test_another_runbook_is_a_link_between_the_pages(address):
    """Relative, so that a prefix does not break it."""
    assert html(f"[按它处理]({address})", "Timeouts") == '<p><a href="Timeouts">按它处理</a></p>'


@pytest.mark.parametrize(
    "address", ["Nobody.md", "../operations.md", "/etc/passwd", "javascript:x", "#here", "mailto:a@b", "//evil.example"]
)
def test_what_leads_nowhere_here_is_no_link(address):
    """Its words stay."""
    text = html(f"[词]({address})", "Timeouts")
    assert "href" not in text
    assert "词" in text


def test_the_web_is_a_link_that_says_nothing_of_this_page():
    """Only to addresses that are whole."""
    assert html("[x](https://example.com/a)") == '<p><a href="https://example.com/a" rel="noreferrer noopener">x</a></p>'


def test_html_is_text_and_an_image_is_none():
    """Nothing is loaded or run."""
    text = html("<script>x</script>\n\n<b onclick=x>\n\n![bild](https://example.com/a.png)")
    assert "<script" not in text
    assert "<b " not in text
    assert "<img" not in text


async def test_every_runbook_of_ours_is_a_page_whose_links_lead_to_pages(tmp_path):
    """From the list to each of them."""
    async with site(tmp_path, runbooks=RUNBOOKS) as notifier:
        names = sorted(path.stem for path in RUNBOOKS.glob("*.md"))
        index = await notifier.page("/runbooks")
        assert [address for address in index.addresses() if address.startswith("./runbooks/")] == [f"./runbooks/{name}" for name in names]
        assert "HighErrorRate 推理错误率过高" in index.words
        for name in names:
            page = await notifier.page(f"/runbooks/{name}")
            inside = [address for address in page.addresses() if not address.startswith(("../", "http", "data:"))]
            assert set(inside) <= set(names), name
            assert "pre" in {tag for tag, _ in page.elements}


@pytest.mark.parametrize("name", ["Nobody", "..%2Fnotifier", "<script>"])
async def test_one_that_is_not_there_is_a_page_that_says_so(tmp_path, name):
    """404, and nothing of the disk."""
    async with site(tmp_path, runbooks=RUNBOOKS) as notifier:
        answer = await notifier.client.get(f"/runbooks/{name}")
        assert answer.status_code == 404


async def test_without_a_folder_the_list_says_how_to_get_one(tmp_path):
    """There are none then."""
    async with site(tmp_path) as notifier:
        assert "没有处理手册；通知器配置里的 runbooks 指向放它们的文件夹。" in (await notifier.page("/runbooks")).words
